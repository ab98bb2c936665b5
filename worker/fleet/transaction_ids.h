/*
 * transaction_ids: transaction ids that no other node of the fleet has.
 *
 * Slot 0 fetches them from Redis in large ranges and keeps the range in
 * STATE_DIR/transaction-ids-PREFIX; the workers take blocks from the file, as
 * they do from the local counter without [redis]. So Redis may be away, and
 * the gateway be restarted meanwhile, for some ten thousand transactions.
 */
#ifndef WORKER_FLEET_TRANSACTION_IDS_H
#define WORKER_FLEET_TRANSACTION_IDS_H

#include <stdbool.h>
#include <stdint.h>

/* [*from, *from + n) of the range; false, with a line in the log, if it
 * cannot be had. */
bool transaction_ids_take(int64_t *from, int64_t n);
/* Often. */
void transaction_ids_tick(void);

#endif
