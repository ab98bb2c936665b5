/*
 * inbox: the streams with entries for this worker from other gateways and the
 * platform: a command waits, a session was replaced, an answer has come.
 *
 * One stream per shard. With a single server one XREAD waits for all of them;
 * in a cluster the stream of each shard is polled. A lost entry only causes a
 * delay until the next refresh of the session (claims.h).
 */
#ifndef WORKER_FLEET_INBOX_H
#define WORKER_FLEET_INBOX_H

#include "fields.h"

/* Called after shards_open(). */
void inbox_open(void);
/* Waits for entries, outside a cluster. Called when up_redis_listen() reports
 * that the connection for blocking requests is ready. */
void inbox_listen(void);
/* Called several times a second for each shard that is alive: polls, in a
   cluster. */
void inbox_tick(unsigned shard);
/* Called when the shard is alive; `last` is the id of its last entry. Entries
 * from before the first call are not read, because the claims bring the same
 * facts. If the server has lost entries, reading continues from its last one.
 */
void inbox_resume(unsigned shard, const char *last);
/* Stops reading. */
void inbox_close(void);

/* Writes the id of the last entry that was read from each inbox, for the
 * process that inherits the slot. inbox_take() reads a line of them; false if
 * the line is not one. */
void inbox_put(struct buf *out);
bool inbox_take(struct fields *f);

#endif
