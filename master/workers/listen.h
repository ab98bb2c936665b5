/*
 * listen: the sockets charge points connect to, held for the daemon's life.
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

/* The new program of an upgrade gets the sockets of the old one: each is
 * offered here first, and listen_open() takes those of its slot that have one
 * of its addresses; slot: LISTEN_ADMIN for the admin process. A socket that is
 * newly bound with backlog 0 accepts nothing before listen_begin(). */
#define LISTEN_ADMIN 0xffffu
void listen_offer(enum listener_kind kind, unsigned slot, int fd);
/* What was offered, has one of the addresses and no slot any more: clients may
 * wait in it, so a slot takes it as well. Nothing if the set is full. */
void listen_take_rest(struct listen_set *set, enum listener_kind kind,
    const char *list, unsigned slot, unsigned slots);
/* Closes what was offered and is not used. */
void listen_close_rest(void);
/* False with errno if one of them cannot listen. */
bool listen_begin(struct listen_set *set, int backlog);

/* Could every address be bound by a start, with its port as it may be in use
 * by this very daemon? False with a sentence in why. */
bool listen_check(const char *knob, const char *list, struct buf *why);

/* Is every address free? Another daemon of the same user could share it
 * unnoticed and take half of its clients. False with a sentence in why. */
bool listen_probe(const char *knob, const char *list, struct buf *why);

/* Binds every address of a listen knob and adds the sockets to the set. False
 * with a sentence that names the address and the remedy; then the set is
 * empty, and nothing of it is left open. */
bool listen_open(struct listen_set *set, enum listener_kind kind, unsigned slot,
    const char *knob, const char *list, int backlog, struct buf *why);
void listen_close(struct listen_set *set);

/* Raises the soft limit of descriptors as far as it may, and warns if the
 * connections of a worker do not fit. */
void listen_raise_limit(const struct config *c, unsigned workers);

#endif
