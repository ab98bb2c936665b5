/*
 * permits: the messages that a charge point may send although its boot is
 * Pending.
 *
 * Before its boot is accepted, a charge point of OCPP 2.x may send only
 * BootNotifications and the messages that the central system has asked for:
 * that of an accepted TriggerMessage, or the report of a GetBaseReport or
 * GetReport (2.0.1 B02.FR.02). Each connection has a set of such messages
 * (dialect_caused()) in a table, which is allocated when the first one is
 * added.
 */
#ifndef WORKER_SESSION_PERMITS_H
#define WORKER_SESSION_PERMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/conn.h"

/* Permits the messages of a set of dialect_caused(). If memory is out, nothing
   is permitted. */
void     permits_add(const struct conn *c, uint16_t set);
uint16_t permits_of(const struct conn *c);
/* Called for a new session, and when its boot is answered. */
void permits_clear(const struct conn *c);

#endif
