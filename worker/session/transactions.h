/*
 * transactions: how a StartTransaction that is sent again is recognised.
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
    TRANSACTION_NEW,     /* not known: it starts a transaction */
    TRANSACTION_KNOWN,   /* start->answer was given before */
    TRANSACTION_WRITTEN, /* start->answer leaves once the event start->number
                            of this worker is durable */
    TRANSACTION_ASKED,   /* this worker has asked the platform */
    TRANSACTION_UNSURE   /* it depends on another worker; look again later */
};

/* resolved_ms: 0 when a CALL is looked up for the first time, and kept for it
 * from one look to the next (clock_mono_ms()). */
enum transactions_found transactions_find(uint32_t entry,
    const uint64_t fingerprint[2], struct registry_start *start,
    uint64_t *resolved_ms);

/* One line of the journal at recovery: a start or stop in it goes into the
 * registry. */
void transactions_recover(uint64_t number, const char *line, size_t len);

#endif
