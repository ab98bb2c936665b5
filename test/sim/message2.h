/*
 * message2: payloads of a charge point of OCPP 2.0.1 and 2.1.
 *
 * The payloads as text; message.h has the names, and reads the answers.
 * Nothing is filled in later, because the charge point itself makes the id of
 * a transaction. Pure.
 */
#ifndef SIM_MESSAGE2_H
#define SIM_MESSAGE2_H

#include "message.h"

#define MESSAGE2_ID_MAX 37 /* bytes of a transaction id, with NUL */

/* One TransactionEvent. Members that are NULL are omitted. */
struct message2_tx {
    enum message kind; /* MESSAGE_TX_* */
    const char  *id;
    uint32_t     seq;
    const char  *trigger; /* triggerReason */
    const char  *state;   /* chargingState */
    const char  *reason;  /* stoppedReason */
    const char  *token;
    const char  *context; /* of the meter value */
    uint32_t     meter, power;
    int64_t      remote; /* remoteStartId; negative: none */
    bool plugged; /* the first event since the cable was plugged in: it has the
                     EVSE */
    bool        offline;
    const char *now;
};

void message2_boot(struct message_text *t, const char *serial);
/* The status of EVSE 1; as a NotifyEvent, which 2.1 prefers, or as a
 * StatusNotification. */
void message2_status(struct message_text *t, bool event, uint32_t number,
    enum message_status status, const char *now);
void message2_authorize(struct message_text *t, const char *token);
void message2_tx(struct message_text *t, const struct message2_tx *tx);
/* A meter value without a transaction. */
void message2_meter(struct message_text *t, uint32_t meter, const char *context,
    const char *now);

/* The variables of the charge point. Each part of a report has REPORT_SIZE of
 * them. */
struct message2_variable {
    const char *component, *variable;
    bool        readonly, writeonly;
    const char *value; /* NULL: the value is in struct point */
};
extern const struct message2_variable message2_variables[];
extern const unsigned                 message2_variable_count;

#define MESSAGE2_REPORT_SIZE 4

/* Writes part `part` of the report; values: of each variable. False if it is
 * the last part. */
bool message2_report(struct message_text *t, int32_t request, unsigned part,
    const char *const *values, const char *now);

#endif
