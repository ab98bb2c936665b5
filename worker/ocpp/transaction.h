/*
 * transaction: what a message holds about a transaction, in one vocabulary for
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
#include "registry_starts.h"
#include "writer.h"

/* Is an event of this kind about a transaction? */
bool transaction_is_kind(enum event_kind kind);

/* What the message holds about its transaction. */
enum transaction_says {
    TRANSACTION_SAYS_NOTHING,
    TRANSACTION_GOES_ON, /* it has begun, or goes on */
    TRANSACTION_HAS_ENDED
};
enum transaction_says transaction_says(
    enum event_kind kind, const struct json *tape, uint32_t payload);

/* How a message is remembered, by the event of its row in the schema. */
enum registry_start_kind transaction_kind(enum event_kind event);

/* By which a message that is sent again is recognised. That of a start of 1.6
 * is of its connectorId, idTag, timestamp and meterStart; that of a stop, of
 * all of its bytes; that of an event of 2.x, of its transactionId, seqNo,
 * eventType and timestamp. It does not depend on the process or the machine. */
void transaction_fingerprint(enum registry_start_kind kind,
    const struct json *tape, uint32_t payload, uint64_t fingerprint[2]);

/* Appends the member "tx". payload: of the request, on the tape. answer: the
 * JSON text of the answer, in which 1.6 has the id of a transaction that
 * starts. command_id: of the command that asked for the start, or NULL. */
void transaction_put(struct writer *w, enum event_kind kind,
    const struct json *tape, uint32_t payload, const char *answer,
    size_t answer_len, const char *command_id);

/* What the message that begins a transaction has in common with the command
 * that asked for it: the remoteStartId, or in 1.6, which has no such thing, the
 * token. */
struct transaction_remote {
    uint64_t key;       /* hash; 0: it has nothing */
    bool     by_token;  /* the token; valid for a time only */
    uint32_t connector; /* by_token: that is asked for, or used; 0 none */
};

/* Does a command with this action ask for a transaction? */
bool transaction_is_remote(const char *action);
/* payload: of such a command. The same members may stand in an event. */
struct transaction_remote transaction_remote_of_command(
    const struct json *tape, uint32_t payload);
/* Appends those members. */
void transaction_put_remote(
    struct writer *w, const struct json *tape, uint32_t payload);
struct transaction_remote transaction_remote_of_message(
    enum event_kind kind, const struct json *tape, uint32_t payload);

/* The hash of the id of the message's transaction, 0 if it has none. answer: as
 * above. */
uint64_t transaction_id_hash(enum event_kind kind, const struct json *tape,
    uint32_t payload, const char *answer, size_t answer_len);
/* ... of an id as tx has it. */
uint64_t transaction_hash(const struct json *tape, uint32_t id);

#endif
