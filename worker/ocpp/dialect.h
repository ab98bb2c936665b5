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
    /* The dialect of a charge point that offers no subprotocol. */
    DIALECT_UNNAMED = 0,
};

struct dialect {
    const char                  *name; /* name of the subprotocol */
    const struct schema_dialect *schema;
    enum ocppj_spelling          spelling;  /* spelling of error codes */
    enum ocppj_type              last_type; /* the highest message type */
    /* A message without a readable id, or of an unknown type, is answered with
     * a CALLERROR. */
    bool answers_unreadable, answers_unknown_type;
    /* A CALLRESULT that cannot be used is answered with a CALLRESULTERROR. */
    bool answers_results;
    /* While the boot is not accepted, a CALL that was not triggered is refused
     * with SecurityError. */
    bool refuses_before_boot;
};

/* By enum dialect_number, which a connection has as c->session.protocol. */
extern const struct dialect dialects[DIALECTS];

/* The mode of ocpp.validation; `off` cuts frames as lenient does. */
enum ocppj_mode dialect_mode(void);

/* True if the platform must be asked for the answer to this message. */
bool dialect_asks_platform(const struct schema_message *m);
/* The status in the gateway's own answer: the choice of the message's knob, or
 * the fallback if the knob is `platform`. "" if the message has no knob. */
const char *dialect_status(const struct schema_message *m);
/* The message that asks whether a token may charge (Authorize). */
const struct schema_message *dialect_authorize(const struct dialect *d);
/* dialect_token(): the value of the token in a request. dialect_token_info():
 * the verdict on it in an answer. Both are indexes on the tape, 0 if there is
 * none. */
uint32_t dialect_token(const struct json *tape, uint32_t payload);
uint32_t dialect_token_info(const struct json *tape, uint32_t payload);
/* The index of the time at which a verdict expires, 0 if there is none. */
uint32_t dialect_token_expiry(const struct json *tape, uint32_t info);
/* Writes the members of an Authorize request about the token of this
   request. */
void dialect_put_token(
    struct writer *w, const struct json *tape, uint32_t payload);

/* The status that the gateway gives to a token by itself, in any message. */
const char *dialect_token_status(const struct dialect *d);

/* The authorization key that a request to a charge point sets: the index of its
 * value; 0 if the request sets something else. */
uint32_t dialect_new_key(
    const char *action, const struct json *tape, uint32_t payload);
/* The messages that an accepted request of the central system makes a charge
 * point send, as a set. payload: that of the request. */
uint16_t dialect_caused_by(const struct json *tape, uint32_t payload);
/* The bit of a message in such a set; 0 if nothing causes it. */
uint16_t dialect_caused(const struct schema_message *m);

/* Writes such a set as the names of messages, separated by blanks, and reads it
   back. */
void     dialect_put_caused(struct buf *out, uint16_t set);
uint16_t dialect_read_caused(const char *names);

/* True if the charge point has accepted the request: it executes it, or has
 * done so. In an answer about several variables, the authorization key decides.
 */
bool dialect_accepted(const struct json *tape, uint32_t payload);
/* True if it takes effect only when the charge point has started anew. */
bool dialect_accepted_later(const struct json *tape, uint32_t payload);

#endif
