/*
 * event_kind: which event a message of a charge point becomes.
 *
 * Most messages become the event that their row of the schema names. For some
 * of OCPP 2.0.1 and 2.1 the payload decides. Pure.
 */
#ifndef WORKER_OCPP_EVENT_KIND_H
#define WORKER_OCPP_EVENT_KIND_H

#include "event.h"
#include "ocpp/json.h"
#include "ocpp/schema.h"

/* payload: the index of the request's payload on the tape. */
enum event_kind event_kind_of(
    const struct schema_message *m, const struct json *tape, uint32_t payload);

#endif
