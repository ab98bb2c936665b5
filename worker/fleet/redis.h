/*
 * redis: the worker's connection to Redis or Valkey; the only file that knows
 * hiredis.
 *
 *     OFF --> WAIT --> CONNECT --> GREET --> READY
 *              ^          |          |         |
 *              +----------+----------+---------+   back-off with jitter
 *
 * GREET is AUTH, SELECT, INFO, and the Functions library (ocppd.lua) in the
 * version this gateway brings. Requests are pipelined and answered in order;
 * one that is unanswered for redis.timeout ends the connection, from
 * redis_tick(): hiredis 0.14 knows no timeouts. What was unanswered then gets
 * NULL for an answer: it may have been executed or not.
 *
 * A shard is a part of the fleet's keys that lies in one hash slot (see
 * ocppd.lua). All are on the configured server, until it is the node of a
 * cluster that answers MOVED for one: that shard's requests then go to the
 * node it names. The users of the shard see it lost and ready again.
 */
#ifndef WORKER_FLEET_REDIS_H
#define WORKER_FLEET_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An answer or a part of one; lives during the callback. */
struct redis_value;

/* v NULL: no answer, the connection was lost. */
typedef void redis_fn(void *ctx, const struct redis_value *v);

/* An error's text; NULL if v is none. */
const char *redis_error(const struct redis_value *v);
/* "" and 0 for what is no string. Bytes may hold NUL, and end with one. */
const char *redis_text(const struct redis_value *v, size_t *len);
bool        redis_is(const struct redis_value *v, const char *text);
int64_t redis_int(const struct redis_value *v); /* also of a string of digits */
size_t  redis_count(const struct redis_value *v); /* of an array; else 0 */
/* Element i; of what is no array, or has fewer, an empty value. */
const struct redis_value *redis_at(const struct redis_value *v, size_t i);

/* Whether [redis] is configured. Fixed while the worker lives. */
bool redis_on(void);
void redis_open(void);
/* Reconnects and deadlines; often, at least ten times a second. */
void redis_tick(void);
/* No new connections; those there are end. */
void redis_close(void);

unsigned redis_shards(void);
unsigned redis_shard(const char *identity, size_t len);
bool     redis_ready(unsigned shard);
/* The server has just answered a request with a temporary error (for example
 * OOM): better not to send much. */
bool redis_troubled(void);
/* Unanswered requests. */
uint64_t redis_pending(void);
/* Several streams can be waited for with one request. */
bool redis_is_cluster(void);

/*
 * A request is built argument by argument, and sent to its shard.
 *
 *     redis_begin("FCALL"); redis_name("take", "1"); ...
 *     redis_send(shard, fn, ctx);
 *
 * redis_begin() forgets what was not sent. False: not sent, because the shard
 * is not ready (or memory is out); fn is not called then.
 */
void redis_begin(const char *command);
void redis_add(const char *text);
void redis_addn(const void *p, size_t n);
void redis_addu(uint64_t number);
/* {prefix}_{function}, and the number of keys. */
void redis_name(const char *function, const char *keys);
/* The two keys of a function, of a shard or of an identity; and a key
 * {stream}:what:name of another command. */
void redis_stream(unsigned shard);
void redis_key(unsigned shard, const char *what, const char *name);
void redis_identity(unsigned shard, const char *identity, size_t len);
bool redis_send(unsigned shard, redis_fn *fn, void *ctx);
/* The same on the connection that may block; one at a time. Not for clusters.
 */
bool redis_send_waiting(redis_fn *fn, void *ctx, uint32_t block_ms);

/* For health and status: one word and a sentence, in shm_worker. */
void redis_set_status(const char *word, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
