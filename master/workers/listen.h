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

/* Is every address free? Another daemon of the same user could share it
 * unnoticed and take half of its clients. False with a sentence in why. */
bool listen_probe(const char *knob, const char *list, struct buf *why);

/* Binds every address of a listen knob and adds the sockets to the set. False
 * with a sentence that names the address and the remedy; then the set is
 * empty, and nothing of it is left open. */
bool listen_open(struct listen_set *set, enum listener_kind kind,
    const char *knob, const char *list, int backlog, struct buf *why);
void listen_close(struct listen_set *set);

/* Raises the soft limit of descriptors as far as it may, and warns if the
 * connections of a worker do not fit. */
void listen_raise_limit(const struct config *c, unsigned workers);

#endif
