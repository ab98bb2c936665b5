/*
 * transactions: recognizes a StartTransaction that is sent again.
 *
 * The starts themselves are kept in registry_starts.h, for all workers; the
 * transaction ids come from fleet/transaction_ids.h.
 */
#ifndef WORKER_SESSION_TRANSACTIONS_H
#define WORKER_SESSION_TRANSACTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "ocpp/json.h"
#include "registry.h"

enum transactions_found {
    TRANSACTION_NEW,     /* it is unknown, and starts a transaction */
    TRANSACTION_KNOWN,   /* start->answer was given before */
    TRANSACTION_WRITTEN, /* start->answer is sent when the event start->number
                            of this worker is durable */
    TRANSACTION_ASKED,   /* this worker has asked the platform */
    TRANSACTION_UNSURE   /* it depends on another worker; ask again later */
};

/* resolved_ms: 0 when a CALL is looked up for the first time; the caller keeps
 * the value (of clock_mono_ms()) for the next look-up of this CALL. */
enum transactions_found transactions_find(uint32_t entry,
    const uint64_t fingerprint[2], struct registry_start *start,
    uint64_t *resolved_ms);

/* One line of the journal at recovery: puts a start or stop into the registry.
 */
void transactions_recover(uint64_t number, const char *line, size_t len);

/* Called once a second: frees memory of charge points that have sent nothing of
 * the kind for ocpp.resend_time. */
void transactions_tick(void);

#endif
