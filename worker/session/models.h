/*
 * models: which vendor and model a charge point is, for the registry.
 *
 * A BootNotification names them. After a start of the daemon they come from
 * the journal: a charge point that reconnects does not boot again.
 */
#ifndef WORKER_SESSION_MODELS_H
#define WORKER_SESSION_MODELS_H

#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "ocpp/json.h"

/* A BootNotification that keeps to the schema. */
void models_booted(struct conn *c, const struct json *boot, uint32_t payload);

/* One line of the journal, oldest first. */
void models_recover(const char *line, size_t len);

#endif
