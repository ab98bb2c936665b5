/*
 * redis: the worker's connection to Redis or Valkey. Only redis*.c use hiredis.
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
 * A shard is a part of the fleet's keys that lies in one hash slot (see
 * ocppd.lua). All shards are on the configured server, unless it is a node of a
 * cluster that answers MOVED for one. The requests of that shard then go to the
 * named node, and the users of the shard see it lost and ready again.
 */
#ifndef WORKER_FLEET_REDIS_H
#define WORKER_FLEET_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An answer or a part of one; valid during the callback. */
struct redis_value;

/* A callback. v is NULL if the connection was lost before an answer came. */
typedef void redis_fn(void *ctx, const struct redis_value *v);

/* The text of an error; NULL if v is not an error. */
const char *redis_error(const struct redis_value *v);
/* The bytes of a string; "" and 0 if v is not a string. They may contain NUL,
   and a NUL follows them. */
const char *redis_text(const struct redis_value *v, size_t *len);
bool        redis_is(const struct redis_value *v, const char *text);
int64_t redis_int(const struct redis_value *v);  /* accepts a string of digits
                                                    too */
size_t redis_count(const struct redis_value *v); /* elements of an array; else
                                                    0 */
/* Element i; an empty value if v is not an array or has fewer elements. */
const struct redis_value *redis_at(const struct redis_value *v, size_t i);

/* True if [redis] is configured. It does not change while the worker runs. */
bool redis_on(void);
void redis_open(void);
/* Handles reconnects and deadlines. Called at least ten times a second. */
void redis_tick(void);
/* Ends all connections, and makes no new ones. */
void redis_close(void);

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

/*
 * A request is built argument by argument, and then sent to its shard.
 *
 *     redis_begin("FCALL"); redis_name("take", "1"); ...
 *     redis_send(shard, fn, ctx);
 *
 * redis_begin() discards a request that was not sent. redis_send() returns
 * false if the shard is not ready or memory is out; then fn is not called.
 */
void redis_begin(const char *command);
void redis_add(const char *text);
void redis_addn(const void *p, size_t n);
void redis_addu(uint64_t number);
/* Adds {prefix}_{function} and the number of keys. */
void redis_name(const char *function, const char *keys);
/* These add the two keys of a function, for a shard or for an identity, or the
 * key {stream}:what:name of another command. */
void redis_stream(unsigned shard);
void redis_key(unsigned shard, const char *what, const char *name);
void redis_identity(unsigned shard, const char *identity, size_t len);
bool redis_send(unsigned shard, redis_fn *fn, void *ctx);
/* Sends the request on the connection for blocking requests, one at a time. Not
 * for clusters.
 */
bool redis_send_waiting(redis_fn *fn, void *ctx, uint32_t block_ms);

/* Sets one word and a sentence in shm_worker, for health and status. */
void redis_set_status(const char *word, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
