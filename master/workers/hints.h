/*
 * hints: what the workers are to follow: a new configuration, certificates or
 * log file, and whether they accept connections.
 *
 * A hint is a datagram. If a worker does not read its channel, the hint is
 * owed to it and sent again once a second.
 */
#ifndef MASTER_WORKERS_HINTS_H
#define MASTER_WORKERS_HINTS_H

#include <stdbool.h>

#include "channel.h"

struct slot;

/* To every worker: CHANNEL_config, CHANNEL_tls or CHANNEL_reopen. */
void hints_notify_all(enum channel_type type);

/* An upgrade is under way: no worker accepts connections; or all do again. */
void hints_freeze(bool on);
bool hints_frozen(void);

/* Sends what is owed to a worker. */
void hints_send(struct slot *s);

#endif
