/*
 * permits: what a charge point may send although its boot is Pending.
 *
 * Before its boot is accepted, a charge point of OCPP 2.x sends nothing but
 * BootNotifications and what the central system has asked it for: the message
 * of an accepted TriggerMessage, or the report of a GetBaseReport or GetReport
 * (2.0.1 B02.FR.02). Each connection has a set of such messages
 * (dialect_caused()), in a table of this file that is made with the first one:
 * a connection that asks for nothing pays nothing.
 */
#ifndef WORKER_SESSION_PERMITS_H
#define WORKER_SESSION_PERMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/conn.h"

/* set: of dialect_caused(). Without memory nothing is permitted. */
void     permits_add(const struct conn *c, uint16_t set);
uint16_t permits_of(const struct conn *c);
/* A new session, or an answer to its boot. */
void permits_clear(const struct conn *c);

#endif
