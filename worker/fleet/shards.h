/*
 * shards: what this worker does with each shard of the fleet as a whole.
 *
 * The beat, once a second: it keeps the worker's sessions alive, gives due
 * commands their outcome, and tells Redis' time. The trimming of the stream.
 * The inbox, in which others leave what this worker is to look at.
 *
 *     ready --beat answered--> beaten: finishes are repeated, then claims go
 */
#ifndef WORKER_FLEET_SHARDS_H
#define WORKER_FLEET_SHARDS_H

#include <stdbool.h>
#include <stdint.h>

#define SHARD_BATCH 64

struct shard {
    uint32_t round;      /* raised whenever it is ready anew; never 0 then */
    bool     beaten;     /* a beat was answered in this round: we are alive */
    bool     new_server; /* it may have lost its last second */
    bool     beating, polling, trimming, replaced, alarmed;
    uint32_t beat_ms, trim_ms, poll_ms;
    char inbox[48]; /* id of the last entry seen; "" before the first beat */
    uint32_t refresh[SHARD_BATCH]; /* claims.c: connections to be refreshed */
    unsigned refresh_n;
    uint64_t due, events; /* as of the last beat */
};

extern struct shard *shards;

void shards_open(const char *owner, const char *incarnation);
void shards_tick(void);
/* As up_redis_ready(), up_redis_lost() and up_redis_listen() report. */
void shards_ready(unsigned shard, bool new_server);
void shards_lost(unsigned shard);
void shards_listen(void);
/* Takes this worker's name off: its sessions are lost to everybody at once. */
void shards_leave(void);

/* Redis' clock in microseconds, as well as we know, and how well that is. */
uint64_t shards_now_us(void);
uint64_t shards_clock_err(void);
/* Generations and event numbers drawn from now on are not below this. */
void shards_raise_sequence(uint64_t least);

#endif
