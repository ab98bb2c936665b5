/*
 * redis_request: a request to Redis, built argument by argument, and then sent
 * to its shard:
 *
 *     redis_begin("FCALL"); redis_name("take", "1"); ...
 *     redis_send(shard, fn, ctx);
 *
 * There is one at a time: redis_begin() discards a request that was not sent.
 */
#ifndef WORKER_FLEET_REDIS_REQUEST_H
#define WORKER_FLEET_REDIS_REQUEST_H

#include <stddef.h>
#include <stdint.h>

/* Begins a request with the name of its command, and drops an earlier one that
 * was not sent. */
void redis_begin(const char *command);
/* These add an argument. The bytes of text and p are not copied: they must be
 * valid until the request is sent. */
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

#endif
