/*
 * dialect: the OCPP versions there is code for.
 */
#ifndef WORKER_OCPP_DIALECT_H
#define WORKER_OCPP_DIALECT_H

#include "ocpp/ocppj.h"
#include "ocpp/schema.h"

enum protocol { PROTOCOL_ocpp16, PROTOCOLS };

extern const char *const protocol_names[PROTOCOLS]; /* the subprotocols' */
extern const struct schema_dialect *const protocol_dialects[PROTOCOLS];

/* The mode of ocpp.validation; `off` cuts frames as lenient does. */
enum ocppj_mode protocol_mode(void);

#endif
