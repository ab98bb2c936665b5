/*
 * admin: the small process that serves /health, /metrics, /ready and /live.
 *
 * It maps the shared memory read-only, so that a fault of its HTTP library
 * cannot harm a charge point; the master watches it like a worker.
 */
#ifndef MASTER_ADMIN_ADMIN_H
#define MASTER_ADMIN_ADMIN_H

#include <stdbool.h>

#include "buf.h"
#include "channel.h"
#include "workers/listen.h"

/* Binds admin.listen; false with a sentence. */
bool                     admin_listen(struct buf *why);
const struct listen_set *admin_listeners(void);
/* Starts the process, and starts it again when it has died; does nothing if
 * there is no listener. Errors are logged. admin_stop(): sends SIGTERM, and
 * does not wait for its end. */
void admin_start(void);
void admin_stop(void);
/* Sends the process a hint without an argument, which may be lost. */
void admin_notify(enum channel_type type);

#endif
