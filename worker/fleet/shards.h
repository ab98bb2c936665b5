/*
 * shards: keepalives, trimming and time of each shard of the fleet.
 *
 * A keepalive is sent once a second: it keeps the worker's sessions alive,
 * gives due commands their outcome, and returns Redis' time. From time to time
 * the stream is trimmed.
 *
 *     ready --keepalive answered--> alive: finishes are repeated, then claims
 */
#ifndef WORKER_FLEET_SHARDS_H
#define WORKER_FLEET_SHARDS_H

#include <stdbool.h>
#include <stdint.h>

#define SHARD_BATCH 64

struct shard {
    uint32_t round;   /* raised each time the shard becomes ready; not 0 from
                         then on */
    bool alive;       /* a keepalive was answered in this round */
    bool new_server;  /* it may have lost the writes of its last second */
    bool waiting;     /* a keepalive waits for its answer */
    bool trimming;    /* a trim waits for its answer */
    bool replaced;    /* another gateway has this worker's name, and this was
                         logged */
    bool     alarmed; /* the stream is filling up, and this was logged */
    uint32_t keepalive_ms, trim_ms; /* self.now_ms of the last ones */
    uint32_t refresh[SHARD_BATCH];  /* claims.c: connections to be refreshed */
    unsigned refresh_n;
    uint64_t due, events; /* values in the answer to the last keepalive */
};

extern struct shard *shards;

/* Called when a keepalive was answered for the first time in a round of the
 * shard. new_server: it may lack the writes of its last second. last_entry: id
 * of the last entry in this worker's inbox. */
typedef void shards_alive_fn(
    unsigned shard, bool new_server, const char *last_entry);

/* inherited: the incarnation of the process whose slot this worker inherits, ""
   for none. */
void shards_open(const char *inherited, shards_alive_fn *alive);
/* This worker's name in Redis, "node/slot", and the incarnation of its
   process. */
const char *shards_owner(void);
const char *shards_incarnation(void);
/* Called in each tick of the sweep: sends keepalives, and trims. */
void shards_tick(void);
/* Called when up_redis_ready() and up_redis_lost() report. */
void shards_ready(unsigned shard, bool new_server);
void shards_lost(unsigned shard);
/* Removes this worker from Redis: its sessions count as lost at once. */
void shards_leave(void);

/* The time of the clock of Redis, as far as it is known, and the greatest error
 * of this time, in us. */
uint64_t shards_now_us(void);
uint64_t shards_clock_err(void);
/* Raises the sequence: generations and event numbers drawn from now on are not
   below `least`. */
void shards_raise_sequence(uint64_t least);
/* Raises the sequence above this epoch, unless the epoch is too high to be
   valid. */
void shards_pass(uint64_t epoch);

#endif
