/*
 * dialect: one OCPP version, and how it differs from the others.
 *
 * A connection has the dialect of the subprotocol that its handshake picked.
 * No file outside of ocpp/ names a version, an action or an error code: the
 * role of a message is its event (EVENT_booted, EVENT_tx_started, ...), and
 * the rest is here.
 */
#ifndef WORKER_OCPP_DIALECT_H
#define WORKER_OCPP_DIALECT_H

#include "ocpp/ocppj.h"
#include "ocpp/schema.h"
#include "writer.h"

enum dialect_number {
#define DIALECT(symbol, name) DIALECT_##symbol,
#include "ocpp_dialects.def"
#undef DIALECT
    DIALECTS, /* how many */
    /* Of a charge point that offers no subprotocol. */
    DIALECT_UNNAMED = 0,
};

struct dialect {
    const char                  *name; /* of the subprotocol */
    const struct schema_dialect *schema;
    enum ocppj_spelling          spelling;  /* of error codes */
    enum ocppj_type              last_type; /* of messages */
    /* Is a message without a readable id, or of an unknown type, answered with
     * a CALLERROR? */
    bool answers_unreadable, answers_unknown_type;
    /* Is a CALLRESULT that cannot be used answered? */
    bool answers_results;
    /* While the boot is not accepted, is a CALL that was not triggered refused
     * (SecurityError)? */
    bool refuses_before_boot;
};

/* By enum dialect_number, which a connection has as c->session.protocol. */
extern const struct dialect dialects[DIALECTS];

/* The mode of ocpp.validation; `off` cuts frames as lenient does. */
enum ocppj_mode dialect_mode(void);

/* Is the platform to be asked for the answer to this message? */
bool dialect_asks_platform(const struct schema_message *m);
/* The status that the gateway itself answers, by the settings: the choice of
 * the message's knob, or the fallback if the platform is to be asked. "" if
 * the message has no choice. */
const char *dialect_status(const struct schema_message *m);
/* The message that asks whether a token may charge. */
const struct schema_message *dialect_authorize(const struct dialect *d);
/* The value of the token that a request presents, and the verdict on it in an
 * answer: tokens on the tape, 0 if there is none. */
uint32_t dialect_token(const struct json *tape, uint32_t payload);
uint32_t dialect_token_info(const struct json *tape, uint32_t payload);
/* When a verdict expires. */
uint32_t dialect_token_expiry(const struct json *tape, uint32_t info);
/* The members of a request that asks about the token of this one. */
void dialect_put_token(
    struct writer *w, const struct json *tape, uint32_t payload);

/* The status of a token that a charge point presents, in whatever message. */
const char *dialect_token_status(const struct dialect *d);

/* The authorization key that a request to a charge point sets: the token of
 * its value; 0 if the request sets something else. */
uint32_t dialect_new_key(
    const char *action, const struct json *tape, uint32_t payload);
/* The messages that an accepted request of the central system makes a charge
 * point send, as a set; payload: of the request. */
uint16_t dialect_caused_by(const struct json *tape, uint32_t payload);
/* The bit of a message in such a set; 0 if nothing causes it. */
uint16_t dialect_caused(const struct schema_message *m);

/* Such a set as the names of messages, with blanks between them, and back. */
void     dialect_put_caused(struct buf *out, uint16_t set);
uint16_t dialect_read_caused(const char *names);

/* Does the charge point do, or has it done, what a request asked for? Of
 * several variables, the authorization key counts. */
bool dialect_accepted(const struct json *tape, uint32_t payload);

#endif
