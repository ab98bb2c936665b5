/*
 * message: the payloads of a charge point, and the answers to them.
 *
 * The payloads of OCPP 1.6 as text, and the shape of the answers to them in
 * all versions; message2.h has the payloads of 2.x.
 * Payloads of transaction messages of 1.6 have a hole where the transaction id
 * goes, as it may not be known when they are made. Pure.
 */
#ifndef SIM_MESSAGE_H
#define SIM_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jsonspan.h"

/*  X(word, name, counter in tally.h) */
#define MESSAGES(X)                                                            \
    X(BOOT, "BootNotification", boots)                                         \
    X(HEARTBEAT, "Heartbeat", heartbeats)                                      \
    X(STATUS, "StatusNotification", statuses)                                  \
    X(AUTHORIZE, "Authorize", authorizations)                                  \
    X(START, "StartTransaction", starts)                                       \
    X(METER_VALUES, "MeterValues", meter_values)                               \
    X(STOP, "StopTransaction", stops)                                          \
    X(DIAGNOSTICS, "DiagnosticsStatusNotification", others)                    \
    X(FIRMWARE, "FirmwareStatusNotification", others)                          \
    X(LOG, "LogStatusNotification", others)                                    \
    X(TX_STARTED, "TransactionEvent", starts)                                  \
    X(TX_UPDATED, "TransactionEvent", meter_values)                            \
    X(TX_ENDED, "TransactionEvent", stops)                                     \
    X(EVENT, "NotifyEvent", statuses)                                          \
    X(REPORT, "NotifyReport", others)

enum message_version { VERSION_16, VERSION_201, VERSION_21, VERSIONS };

enum message {
#define MESSAGE_ENUM(word, name, counter) MESSAGE_##word,
    MESSAGES(MESSAGE_ENUM)
#undef MESSAGE_ENUM
        MESSAGE_COUNT
};

#define MESSAGE_MAX 1024 /* bytes of one payload */

struct message_text {
    size_t n;
    size_t hole; /* where the transaction id goes; 0: nowhere */
    char   p[MESSAGE_MAX];
};

/* A payload is begun, and made longer. It must fit into MESSAGE_MAX. */
void message_begin(struct message_text *t);
void message_put(struct message_text *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

const char *message_name(enum message m);
const char *message_subprotocol(enum message_version version);
int         message_action(const char *name); /* -1 if there is none */

/* Words of 1.6, 7.7 ChargePointStatus. */
enum message_status {
    STATUS_AVAILABLE,
    STATUS_PREPARING,
    STATUS_CHARGING,
    STATUS_FINISHING,
    STATUS_RESERVED,
    STATUS_UNAVAILABLE
};

/* now is a time as OCPP writes it; meters are in Wh, power in W. */
void message_boot(struct message_text *t, const char *serial);
void message_heartbeat(struct message_text *t);
void message_status(struct message_text *t, int connector,
    enum message_status status, const char *now);
void message_authorize(struct message_text *t, const char *id_tag);
void message_start(struct message_text *t, const char *id_tag, uint32_t meter,
    const char *now);
/* bound: within a transaction, so with a hole for its id. */
void message_meter(struct message_text *t, bool bound, uint32_t meter,
    uint32_t power, const char *context, const char *now);
void message_stop(struct message_text *t, const char *id_tag, uint32_t meter,
    const char *reason, const char *now);
/* For the three notifications that are just a word. */
void message_word(struct message_text *t, const char *status);

struct message_verdict {
    const char *wrong;       /* what is wrong with it; NULL: nothing */
    bool        accepted;    /* Boot: status; others: of the token */
    bool        pending;     /* Boot: Pending, not Rejected */
    int32_t     interval;    /* Boot, seconds */
    int32_t     transaction; /* StartTransaction */
};

struct message_verdict message_judge(
    enum message m, enum message_version version, struct span answer);

#endif
