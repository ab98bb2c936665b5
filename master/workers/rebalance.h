/*
 * rebalance: spreads connections evenly over the workers that are alive.
 *
 * A worker with more than its share passes the surplus to other workers, one
 * after the other, over a socket pair that is made here. No connection is
 * closed, and one that waits for its slot stays where it is.
 */
#ifndef MASTER_WORKERS_REBALANCE_H
#define MASTER_WORKERS_REBALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

/* Begins a rebalance. *n is the number of connections that will move. False
 * with a sentence. */
bool rebalance_begin(struct buf *why, uint64_t *n);

/* Called when a worker has passed `given` connections, and kept `left` that it
   should have passed. */
void rebalance_given(unsigned slot, uint64_t given, uint64_t left);
/* Called when a worker has read all connections that came. */
void rebalance_taken(unsigned slot);
void rebalance_worker_gone(unsigned slot);

/* False with a sentence while connections pass from one worker to another: no
 * worker may be replaced then. */
bool rebalance_is_idle(struct buf *why);

#endif
