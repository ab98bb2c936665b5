/*
 * transaction: the facts about a transaction in a message, under the same names
 * for all OCPP versions.
 *
 * Each event of a transaction has an object `tx` beside its raw payload
 * (ocppd-events(7)). A member that the message does not have is omitted. Only
 * the reason of an end has a default, Local, as in all versions of OCPP. Pure.
 */
#ifndef WORKER_OCPP_TRANSACTION_H
#define WORKER_OCPP_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"
#include "ocpp/json.h"
#include "registry_starts.h"
#include "writer.h"

/* True if events of this kind are about a transaction. */
bool transaction_is_kind(enum event_kind kind);

/* The phase of the transaction, by the message. */
enum transaction_says {
    TRANSACTION_SAYS_NOTHING,
    TRANSACTION_GOES_ON, /* the transaction has begun, or continues */
    TRANSACTION_HAS_ENDED
};
enum transaction_says transaction_says(
    enum event_kind kind, const struct json *tape, uint32_t payload);

/* How a message is remembered, by the event of its row in the schema. */
enum registry_start_kind transaction_kind(enum event_kind event);

/* The fingerprint by which a message that is sent again is recognized. It is
 * made from connectorId, idTag, timestamp and meterStart of a start of 1.6;
 * from all bytes of a stop; from transactionId, seqNo, eventType and timestamp
 * of an event of 2.x. It is the same in every process and on every machine. */
void transaction_fingerprint(enum registry_start_kind kind,
    const struct json *tape, uint32_t payload, uint64_t fingerprint[2]);

/* Appends the member "tx". payload: index of the request's payload on the tape.
 * answer: JSON text of the answer, which in 1.6 contains the id of a
 * transaction that starts. command_id: the command that asked for the start, or
 * NULL. */
void transaction_put(struct writer *w, enum event_kind kind,
    const struct json *tape, uint32_t payload, const char *answer,
    size_t answer_len, const char *command_id);

/* The value that links the first message of a transaction to the command that
 * asked for it: the remoteStartId of 2.x, or in 1.6 the token. */
struct transaction_remote {
    uint64_t key;       /* hash of that value; 0: there is none */
    bool     by_token;  /* the key is a token, so the link is valid only for a
                           time */
    uint32_t connector; /* by_token: the connector that the command asked for,
                           or the message names; 0: none */
};

/* True if a command with this action asks for a transaction. */
bool transaction_is_remote(const char *action);
/* payload: that of such a command, or an event that holds the same members. */
struct transaction_remote transaction_remote_of_command(
    const struct json *tape, uint32_t payload);
/* Appends those members to an event. */
void transaction_put_remote(
    struct writer *w, const struct json *tape, uint32_t payload);
struct transaction_remote transaction_remote_of_message(
    enum event_kind kind, const struct json *tape, uint32_t payload);

/* The hash of the message's transaction id, 0 if it has none. answer: as above.
 */
uint64_t transaction_id_hash(enum event_kind kind, const struct json *tape,
    uint32_t payload, const char *answer, size_t answer_len);
/* The same for a transaction id in the form of `tx`. */
uint64_t transaction_hash(const struct json *tape, uint32_t id);

#endif
