/*
 * transaction_ids: transaction ids that are never given twice.
 *
 * Ids come in blocks from a counter on disk, which is raised before the first
 * id of a block is used, so that no crash can repeat one. A lost block is 1024
 * ids of 2^31. Without [redis] the counter is STATE_DIR/transaction-ids.
 *
 * With [redis] no other node of the fleet gives the same id: slot 0 fetches
 * large ranges from Redis and keeps the current one in
 * STATE_DIR/transaction-ids-PREFIX, from which all workers take their blocks.
 * Redis may therefore be away, and the gateway be restarted meanwhile, for
 * some ten thousand transactions.
 *
 * A helper thread takes the blocks, because the lock, the disk or another
 * worker may take any time. The next block is taken when half of the current
 * one is used.
 */
#ifndef WORKER_FLEET_TRANSACTION_IDS_H
#define WORKER_FLEET_TRANSACTION_IDS_H

#include <stdbool.h>
#include <stdint.h>

/* Takes the first block, ahead of need. */
void transaction_ids_open(void);

/* False if no id is at hand: the helper is taking a block, or has failed and
 * tries again (logged). The caller waits and asks again. */
bool transaction_ids_next(int32_t *id);

/* Called in each tick of the sweep: takes the next block if it is time to, and
 * fetches a range from Redis. */
void transaction_ids_tick(void);

#endif
