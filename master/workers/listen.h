/*
 * listen: the sockets that charge points connect to, held as long as the daemon
 * runs.
 *
 * One socket per address and worker slot, all of an address bound together
 * with SO_REUSEPORT: the kernel spreads new clients over them. The master
 * keeps each open while its worker is dead, so that a client in its accept
 * queue waits for the successor.
 */
#ifndef MASTER_WORKERS_LISTEN_H
#define MASTER_WORKERS_LISTEN_H

#include <stdbool.h>

#include "buf.h"
#include "config.h"
#include "listener.h"

#define LISTEN_ADDRESSES 32

/* The sockets of one slot, over all listen knobs. */
struct listen_set {
    struct listener at[LISTEN_ADDRESSES];
    unsigned        n;
};

/* The new program of an upgrade gets the sockets of the old one. Each is
 * offered here first, and listen_open() takes those of its slot that have one
 * of its addresses. slot: LISTEN_ADMIN for the admin process. A socket that is
 * newly bound with backlog 0 accepts no client before listen_begin(). */
#define LISTEN_ADMIN 0xffffu
void listen_offer(enum listener_kind kind, unsigned slot, int fd);
/* Takes the offered sockets that have one of the addresses and whose slot does
 * not exist any more, because clients may wait in them. Does nothing if the set
 * is full. */
void listen_take_rest(struct listen_set *set, enum listener_kind kind,
    const char *list, unsigned slot, unsigned slots);
/* Closes offered sockets that are not used. */
void listen_close_rest(void);
/* Starts listening. False with errno if one of the sockets cannot listen. */
bool listen_begin(struct listen_set *set, int backlog);

/* Tests whether a start could bind every address, where ports may be in use by
 * this daemon itself. False with a sentence in why. */
bool listen_check(const char *knob, const char *list, struct buf *why);

/* Tests whether every address is free, because another daemon of the same user
 * could share it unnoticed and take half of its clients. False with a sentence
 * in why. */
bool listen_probe(const char *knob, const char *list, struct buf *why);

/* Binds every address of a listen knob and adds the sockets to the set. False
 * with a sentence that names the address and the remedy; then the set is empty,
 * and all its sockets are closed. */
bool listen_open(struct listen_set *set, enum listener_kind kind, unsigned slot,
    const char *knob, const char *list, int backlog, struct buf *why);
void listen_close(struct listen_set *set);

/* Raises the soft limit of descriptors as far as it may, and warns if the
 * connections of a worker do not fit. */
void listen_raise_limit(const struct config *c, unsigned workers);

#endif
