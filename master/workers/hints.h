/*
 * hints: notifies the workers of changes: a new configuration, new
 * certificates, a new log file, and whether they accept connections.
 *
 * A hint is a datagram. If a worker does not read its channel, the hint is
 * owed to it and sent again once a second.
 */
#ifndef MASTER_WORKERS_HINTS_H
#define MASTER_WORKERS_HINTS_H

#include <stdbool.h>

#include "channel.h"

struct slot;

/* Sends a hint to every worker: CHANNEL_config, CHANNEL_tls or
   CHANNEL_reopen. */
void hints_notify_all(enum channel_type type);

/* Makes all workers stop accepting connections during an upgrade, or resume.
 * hints_frozen(): true while they are stopped. */
void hints_freeze(bool on);
bool hints_frozen(void);

/* Sends the owed hints to a worker. */
void hints_send(struct slot *s);

#endif
