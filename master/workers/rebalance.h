/*
 * rebalance: connections spread evenly over the workers that live.
 *
 * A worker with more than its share passes the surplus on, to one worker after
 * the other, over a socket pair that is made here. None is closed, and what
 * waits for something of its slot stays where it is.
 */
#ifndef MASTER_WORKERS_REBALANCE_H
#define MASTER_WORKERS_REBALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

/* Begins; *n is the number of connections that are to move. False with a
 * sentence. */
bool rebalance_begin(struct buf *why, uint64_t *n);

/* A worker has passed connections on, or `left` of them not. */
void rebalance_given(unsigned slot, uint64_t given, uint64_t left);
/* A worker has read all that came. */
void rebalance_taken(unsigned slot);
void rebalance_worker_gone(unsigned slot);

/* False with a sentence while connections pass from one worker to another: no
 * worker may be replaced then. */
bool rebalance_is_idle(struct buf *why);

#endif
