/*
 * txids: transaction ids that no other node of the fleet has.
 *
 * Slot 0 fetches them from Redis in large ranges and keeps the range in
 * STATE_DIR/transaction-ids-PREFIX; the workers take blocks from the file, as
 * they do from the local counter without [redis]. So Redis may be away, and
 * the gateway be restarted meanwhile, for some ten thousand transactions.
 */
#ifndef WORKER_TXIDS_H
#define WORKER_TXIDS_H

#include <stdbool.h>
#include <stdint.h>

/* [*from, *from + n) of the range; false, with a line in the log, if it
 * cannot be had. */
bool txids_take(int64_t *from, int64_t n);
/* Often. */
void txids_tick(void);

#endif
