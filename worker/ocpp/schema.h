/*
 * schema: the schemas of OCPP messages, and the check of a payload against its
 * schema.
 *
 * The messages of a protocol version are declared in one text file
 * (ocpp16.schema), from which scripts/schema.awk makes the constant tables
 * described here. Checking walks the tape of json.h beside those tables: no
 * memory, no clock, no state.
 *
 * Strict: a payload is accepted if and only if it is valid by the official JSON
 * schema of the message. (Deviations of the JSON text are found by
 * ocppj_cut().) There are two exceptions: in 1.6, null is an empty payload, and
 * Hertz is a unit also in the transaction data of StopTransaction. Lenient: a
 * payload is accepted if it is usable. Harmless errors are accepted and
 * reported by kind. A message is refused if an indispensable field is missing,
 * or has a type from which no value can be read. A message about a transaction
 * is refused only if its payload is not an object (OCPP 1.6 sections 4.7, 4.8
 * and 4.10); its deviations name the unusable parts.
 */
#ifndef WORKER_OCPP_SCHEMA_H
#define WORKER_OCPP_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "ocpp/json.h"
#include "ocpp/ocppj.h"

/* Types up to SCHEMA_URI are strings in JSON. */
enum schema_type {
    SCHEMA_STRING,
    SCHEMA_TEXT, /* a string that is only passed on: lenient accepts any
                    value */
    SCHEMA_ENUM,
    SCHEMA_DATETIME,
    SCHEMA_URI,
    SCHEMA_INTEGER,
    SCHEMA_NUMBER,
    SCHEMA_BOOLEAN,
    SCHEMA_OBJECT,
    SCHEMA_ANY,
};

enum schema_flag {
    SCHEMA_REQUIRED = 1,
    SCHEMA_USABLE_WITHOUT = 2, /* required, but lenient accepts a message
                                  without it */
    SCHEMA_ARRAY = 4,
    SCHEMA_SECRET = 8, /* its value may be a secret: secrets.h */
};

/* The words of an enumeration, each behind a byte that holds its length. */
struct schema_enum {
    const char *words;
    uint32_t    count;
};

/* Inclusive. INT32_MIN and INT32_MAX: no limit. */
struct schema_range {
    int32_t low, high;
};

struct schema_object;

struct schema_field {
    const char *name;
    union {
        const struct schema_enum   *words;  /* SCHEMA_ENUM */
        const struct schema_object *object; /* SCHEMA_OBJECT */
        const struct schema_range  *range;  /* range of numbers; may be NULL */
    } of;
    uint32_t max;       /* characters of a string; 0: no limit */
    uint16_t min_items; /* elements of an array */
    uint16_t max_items; /* 0: no limit */
    uint8_t  name_len;
    uint8_t  type;    /* enum schema_type; for an array, that of its
                         elements */
    uint8_t flags;    /* enum schema_flag */
    uint8_t decimals; /* number: digits after the point (1 for a multiple
                       * of 0.1); SCHEMA_ANY_DECIMALS for any */
};

#define SCHEMA_ANY_DECIMALS 255

struct schema_object {
    const char                *name; /* "IdTagInfo", "Authorize.req" */
    const struct schema_field *fields;
    uint64_t                   required; /* bit i: fields[i] */
    uint32_t                   count;
};

enum schema_direction {
    SCHEMA_CP = 1, /* the charge point sends the request */
    SCHEMA_CS = 2, /* the central system sends the request */
    SCHEMA_BOTH = SCHEMA_CP | SCHEMA_CS,
};

/* The statuses with which the gateway can answer a message, and the knob of
 * [answers] that chooses one. The statuses are in the order of the knob's
 * choices, of which `first` is the first; the last choice is `platform`. A
 * message without statuses has the single status "". */
struct schema_answer {
    const char *const *statuses;
    uint16_t           count;
    uint16_t           knob; /* offset in struct config */
    uint16_t           first;
    uint16_t           fallback; /* offset of NAME_fallback; 0: none */
    uint16_t           fallback_first;
};

enum schema_message_flag {
    SCHEMA_WHEN_ACCEPTED = 1,    /* not sent to a charge point whose boot was
                                  * answered Pending */
    SCHEMA_ANSWERS_TIME = 2,     /* the answer holds the time */
    SCHEMA_ANSWERS_TOKEN = 4,    /* the answer may hold a token's status */
    SCHEMA_EVENT_BY_PAYLOAD = 8, /* event_kind_of() decides by the payload */
    SCHEMA_SEND = 16,            /* sent as SEND (2.1), never answered */
    SCHEMA_DRAFT_06 = 32,        /* 1.0 and 1e2 are integers */
    SCHEMA_CUSTOM_DATA = 64,     /* each object may have customData */
    SCHEMA_TRIGGERS = 128,       /* the charge point sends the requested message
                                  * also while its boot is Pending */
    SCHEMA_SECRETS = 256,        /* some field may be a secret: secrets.h */
};

struct schema_message {
    const char                 *name;
    const char                 *profile; /* feature profile, "Core" */
    const struct schema_answer *answer;  /* NULL if there is no choice */
    uint16_t                    action;  /* position in ocpp_actions.def */
    uint8_t                     name_len;
    uint8_t                     direction; /* enum schema_direction */
    uint8_t                     event;     /* enum event_kind, or EVENT_none */
    uint16_t                    flags;     /* enum schema_message_flag */
    struct schema_object        request;
    struct schema_object        response;
};

struct schema_dialect {
    const char                  *protocol; /* WebSocket subprotocol */
    const struct schema_message *messages; /* sorted by name (strcmp) */
    uint32_t                     count;
};

/* The dialects, generated at build time. */
#define DIALECT(symbol, name)                                                  \
    extern const struct schema_dialect schema_##symbol;
#include "ocpp_dialects.def"
#undef DIALECT

/* NULL if the dialect has no such action; case-sensitive. */
const struct schema_message *schema_find(
    const struct schema_dialect *d, const char *action, size_t len);

/* True if the message is about a transaction. Lenient mode does not refuse such
   a message for its content. */
bool schema_is_transactional(const struct schema_message *m);

/* True if the message is remembered with its answer, so that the same message,
 * sent again, makes no second event: StartTransaction, StopTransaction and
 * TransactionEvent. */
bool schema_is_remembered(const struct schema_message *m);

#define SCHEMA_PATH_MAX 128 /* bytes, with NUL; longer paths end in "..." */
#define SCHEMA_TEXT_MAX 256 /* bytes, with NUL: fits errorDescription */

struct schema_verdict {
    bool             ok;
    enum ocppj_error code; /* refused: the error code of the
                              specification */
    uint64_t deviations;   /* accepted: set of DEVIATION_BIT() */
    /* Where the error, or the first deviation, is:
     * "meterValue[0].sampledValue[2].value". "" for the payload itself. */
    char path[SCHEMA_PATH_MAX];
    char text[SCHEMA_TEXT_MAX]; /* refused: the value that was found, and the
                                 * right one; otherwise "" */
};

enum schema_part { SCHEMA_REQUEST, SCHEMA_RESPONSE };

/* Checks the payload at index `payload` of the tape. Returns out->ok. A
 * payload of null is an empty object (OCPP-J 1.6 sections 4.2.1 and 4.2.2). */
bool schema_check(const struct schema_message *m, enum schema_part part,
    const struct json *tape, uint32_t payload, enum ocppj_mode mode,
    struct schema_verdict *out);

#endif
