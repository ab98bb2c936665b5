/*
 * models: records the vendor and the model of a charge point in the registry.
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

/* Called for a BootNotification that is valid by its schema. */
void models_booted(struct conn *c, const struct json *boot, uint32_t payload);

/* One line of the journal, oldest first. */
void models_recover(const char *line, size_t len);

#endif
