/*
 * transactions: transaction ids, and how a StartTransaction is recognised.
 *
 * Ids are positive and never given twice, whatever crashes
 * (fleet/transaction_ids.h).
 */
#ifndef WORKER_SESSION_TRANSACTIONS_H
#define WORKER_SESSION_TRANSACTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "ocpp/json.h"

/* False if there is none now (the disk or Redis may be slow): nothing may be
 * answered until there is one. */
bool transactions_new_id(int32_t *id);

/* Of connectorId, idTag, timestamp and meterStart: the same for a
 * StartTransaction that is sent again, under whatever message id. */
void transactions_fingerprint(
    const struct json *tape, uint32_t payload, uint64_t fingerprint[2]);

#endif
