/*
 * redis: the worker's connection to Redis or Valkey.
 *
 *     OFF --> WAIT --> CONNECT --> GREET --> READY
 *              ^          |          |         |
 *              +----------+----------+---------+   back-off with jitter
 *
 * GREET is AUTH, SELECT, INFO, and the check that the Functions library
 * (ocppd.lua) has this gateway's version. Requests are pipelined and answered
 * in order. If one is not answered within redis.timeout, redis_tick() ends the
 * connection, because hiredis 0.14 has no timeouts. All unanswered requests
 * then get the answer NULL: each may have been executed or not.
 *
 * A shard is a part of the fleet's keys that is in one hash slot (see
 * ocppd.lua). All shards are on the configured server, unless the server is a
 * node of a cluster and answers MOVED for a shard. The requests of that shard
 * are then sent to the node in that answer; up_redis_lost() and
 * up_redis_ready() are called for the shard.
 */
#ifndef WORKER_FLEET_REDIS_H
#define WORKER_FLEET_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fleet/redis_request.h"
#include "fleet/redis_status.h"
#include "fleet/redis_value.h"

/* A callback. v is NULL if the connection was lost before an answer came. */
typedef void redis_fn(void *ctx, const struct redis_value *v);

/* True if [redis] is configured. It does not change while the worker runs. */
bool redis_on(void);
/* Starts connecting, if [redis] is configured. Without memory the process ends.
 */
void redis_open(void);
/* Handles reconnects and deadlines. Called at least ten times a second. */
void redis_tick(void);
/* Ends all connections, and makes no new ones. */
void redis_close(void);

/* redis.shards; the shard of an identity; true if the node of the shard can be
 * used now. */
unsigned redis_shards(void);
unsigned redis_shard(const char *identity, size_t len);
bool     redis_ready(unsigned shard);
/* True if the server has just answered a request with a temporary error (for
 * example OOM), so that little should be sent. */
bool redis_troubled(void);
/* The number of requests without an answer. */
uint64_t redis_pending(void);
/* True if the shards may be on several nodes, so that one request cannot wait
   for several streams. */
bool redis_is_cluster(void);

/* Sends the request that was built (redis_request.h). False if the shard is not
 * ready or memory is out; then fn is not called. */
bool redis_send(unsigned shard, redis_fn *fn, void *ctx);
/* Sends the request on the connection for blocking requests, one at a time. Not
 * for clusters. block_ms: for how long the server may wait before it answers;
 * redis.timeout is added to it. False as redis_send(), or if one is not
 * answered yet. */
bool redis_send_waiting(redis_fn *fn, void *ctx, uint32_t block_ms);

#endif
