/*
 * message2: payloads of a charge point of OCPP 2.0.1 and 2.1.
 *
 * The payloads as text; message.h has the names, and the shape of the answers.
 * Nothing has to be filled in later: a transaction has its id from the charge
 * point. Pure.
 */
#ifndef SIM_MESSAGE2_H
#define SIM_MESSAGE2_H

#include "message.h"

#define MESSAGE2_ID_MAX 37 /* of a transaction, with NUL */

/* One TransactionEvent. Pointers that are NULL are left out. */
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
    int64_t      remote;  /* remoteStartId; negative: none */
    bool         plugged; /* the first since then: with its EVSE */
    bool         offline;
    const char  *now;
};

void message2_boot(struct message_text *t, const char *serial);
/* Of EVSE 1; by a StatusNotification, or by a NotifyEvent as 2.1 prefers. */
void message2_status(struct message_text *t, bool event, uint32_t number,
    enum message_status status, const char *now);
void message2_authorize(struct message_text *t, const char *token);
void message2_tx(struct message_text *t, const struct message2_tx *tx);
/* Without a transaction. */
void message2_meter(struct message_text *t, uint32_t meter, const char *context,
    const char *now);

/* The variables of the charge point: a report has REPORT_SIZE of them in each
 * part. */
struct message2_variable {
    const char *component, *variable;
    bool        readonly, writeonly;
    const char *value; /* NULL: it is in the charge point */
};
extern const struct message2_variable message2_variables[];
extern const unsigned                 message2_variable_count;

#define MESSAGE2_REPORT_SIZE 4

/* Part `part` of the report; values: of each variable. False: it is the
 * last. */
bool message2_report(struct message_text *t, int32_t request, unsigned part,
    const char *const *values, const char *now);

#endif
