/*
 * transaction: what a message says about a transaction, in one vocabulary for
 * all OCPP versions.
 *
 * Each event of a transaction has an object `tx` beside its raw payload
 * (ocppd-events(7)). A member that the message does not have is left out;
 * nothing is invented but the reason of an end, which is Local by default in
 * all versions. Pure.
 */
#ifndef WORKER_OCPP_TRANSACTION_H
#define WORKER_OCPP_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"
#include "ocpp/json.h"
#include "writer.h"

/* Is an event of this kind about a transaction? */
bool transaction_is_kind(enum event_kind kind);

/* Appends the member "tx". payload: of the request, on the tape. answer: the
 * JSON text of the answer, in which 1.6 has the id of a transaction that
 * starts. command_id: of the command that asked for the start, or NULL. */
void transaction_put(struct writer *w, enum event_kind kind,
    const struct json *tape, uint32_t payload, const char *answer,
    size_t answer_len, const char *command_id);

#endif
