/*
 * rebalance: some connections go to a worker of another slot, while both serve.
 *
 * The lines are those of handover.h, without a slot's own. Only what waits for
 * nothing of this slot is given (moving_is_free()): a connection with an
 * answer that awaits its commit stays, and another one goes in its place.
 *
 * A batch is written and sent in one turn of the loop. As long as the socket
 * has taken no byte of it, its connections are this worker's; from then on they
 * are the other one's, since keys of TLS must not be used twice.
 */
#ifndef WORKER_MOVE_REBALANCE_H
#define WORKER_MOVE_REBALANCE_H

#include <stdbool.h>
#include <stdint.h>

/* Takes over fd, the sender's end of a pair. master_link_given() follows. */
void rebalance_give(int fd, uint64_t n);

#endif
