/*
 * answers: what the gateway answers to the CALLs of charge points.
 *
 * A CALL is checked, made into an event where event.def has one for its
 * action, and answered: at once if it made no event, else when the event is
 * durable. Known notifications always get their .conf; business results go
 * into a CALLRESULT, never into a CALLERROR (OCPP-J 1.6 errata 3.2).
 */
#ifndef WORKER_SESSION_ANSWERS_H
#define WORKER_SESSION_ANSWERS_H

#include "net/conn.h"
#include "ocpp/ocppj.h"

/* f: type CALL; GOOD, MALFORMED or LONG_ID. */
void answers_take(
    struct conn *c, const struct ocppj_frame *f, const struct json *tape);

/* A message that cannot be taken as a CALL, of a version that answers such:
 * CALLERROR with its id, or with "-1" if that could not be read. */
void answers_refuse_unread(
    struct conn *c, const struct ocppj_frame *f, enum ocppj_error code);

/* What the platform answered (platform.h): a BootNotification is answered so
 * now. False if the payload of a StartTransaction's answer has no id. */
void answers_booted(struct conn *c, const char *payload, size_t len);
bool answers_transaction(const char *payload, size_t len, int64_t *id);

/* One line of the journal at recovery: what it says about transactions goes
 * into the registry, so that a resent StartTransaction is known. */
void answers_recover(uint64_t number, const char *line, size_t len);

#endif
