/*
 * inbox: the streams in which other gateways and the platform leave entries
 * for this worker: a command waits, a session was replaced, an answer.
 *
 * One stream per shard. With a single server one XREAD waits for all of them;
 * in a cluster each shard's is polled. A lost entry only delays things until
 * the next refresh of the session (claims.h).
 */
#ifndef WORKER_FLEET_INBOX_H
#define WORKER_FLEET_INBOX_H

#include "fields.h"

/* After redis_open(). owner: of the streams; it must stay valid. */
void inbox_open(const char *owner);
/* Waits for entries, outside a cluster: after each connection to Redis for
 * waiting requests, as up_redis_listen() reports. */
void inbox_listen(void);
/* For each shard that is alive, often: polls, in a cluster. */
void inbox_tick(unsigned shard);
/* The shard is alive, and `last` is the id of its last entry. Entries from
 * before the first call are not read: the claims cover what they are about. A
 * server that lost entries goes on from its own last one. */
void inbox_resume(unsigned shard, const char *last);
/* No more entries are read. */
void inbox_close(void);

/* Where each inbox was read up to, for the process that inherits the slot. */
void inbox_put(struct buf *out);
bool inbox_take(struct fields *f);

#endif
