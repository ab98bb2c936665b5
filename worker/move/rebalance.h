/*
 * rebalance: passes some connections to a worker of another slot, while both go
 * on serving.
 *
 * The lines are those of handover.h, without the lines that belong to the slot.
 * Only connections for which moving_is_free() is true are passed: one with an
 * answer that awaits its commit stays, and another one is passed in its place.
 *
 * A batch is written and sent in one turn of the loop. Until the socket has
 * accepted a byte of it, its connections belong to this worker; from then on to
 * the other one, because keys of TLS must not be used by two processes.
 */
#ifndef WORKER_MOVE_REBALANCE_H
#define WORKER_MOVE_REBALANCE_H

#include <stdbool.h>
#include <stdint.h>

/* Passes n connections. Takes over fd, the sender's end of a pair.
   master_link_given() follows. */
void rebalance_give(int fd, uint64_t n);

#endif
