/*
 * message: the payloads of a charge point, and the answers to them.
 *
 * It has the payloads of OCPP 1.6 as text, and reads the answers of all
 * versions; message2.h has the payloads of 2.x. A payload of a transaction
 * message of 1.6 has a place that is filled with the transaction id later,
 * because the id may be unknown when the payload is made. Pure.
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
    size_t hole; /* offset of the place for the transaction id; 0: none */
    char   p[MESSAGE_MAX];
};

/* Begins a payload, and adds to it. It must fit into MESSAGE_MAX. */
void message_begin(struct message_text *t);
void message_put(struct message_text *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

const char *message_name(enum message m);
const char *message_subprotocol(enum message_version version);
/* The message with that name; -1 if there is none. */
int message_action(const char *name);

/* The words of ChargePointStatus in OCPP 1.6, section 7.7. */
enum message_status {
    STATUS_AVAILABLE,
    STATUS_PREPARING,
    STATUS_CHARGING,
    STATUS_FINISHING,
    STATUS_RESERVED,
    STATUS_UNAVAILABLE
};

/* now: a time in the form of OCPP. Meters are in Wh, power in W. */
void message_boot(struct message_text *t, const char *serial);
void message_heartbeat(struct message_text *t);
void message_status(struct message_text *t, int connector,
    enum message_status status, const char *now);
void message_authorize(struct message_text *t, const char *id_tag);
void message_start(struct message_text *t, const char *id_tag, uint32_t meter,
    const char *now);
/* bound: the meter value belongs to a transaction, and has a place for its
 * id. */
void message_meter(struct message_text *t, bool bound, uint32_t meter,
    uint32_t power, const char *context, const char *now);
void message_stop(struct message_text *t, const char *id_tag, uint32_t meter,
    const char *reason, const char *now);
/* For the three notifications that consist of a word. */
void message_word(struct message_text *t, const char *status);

struct message_verdict {
    const char *wrong;       /* what is wrong with the answer; NULL: nothing */
    bool        accepted;    /* Boot: the status; others: that of the token */
    bool        pending;     /* Boot: Pending, instead of Rejected */
    int32_t     interval;    /* Boot, seconds */
    int32_t     transaction; /* StartTransaction */
};

struct message_verdict message_judge(
    enum message m, enum message_version version, struct span answer);

#endif
