/*
 * transactions: transaction ids, and how a StartTransaction is recognised.
 *
 * Ids are positive and never given twice, whatever crashes: they come in
 * blocks from a counter in STATE_DIR/transaction-ids, which is raised on disk
 * before the first id of a block is used. A lost block is 256 ids of 2^31.
 */
#ifndef WORKER_SESSION_TRANSACTIONS_H
#define WORKER_SESSION_TRANSACTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "ocpp/json.h"

/* False, with a line in the log, if no block can be had (disk); nothing may
 * be answered then. */
bool transactions_new_id(int32_t *id);

/* Of connectorId, idTag, timestamp and meterStart: the same for a
 * StartTransaction that is sent again, under whatever message id. */
void transactions_fingerprint(
    const struct json *tape, uint32_t payload, uint64_t fingerprint[2]);

#endif
