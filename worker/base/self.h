/*
 * self: the global state of this worker process: its loop, its shared memory,
 * its configuration, its time.
 *
 * self_begin() sets it before any other function runs. The time is read once
 * per turn of the loop; clock.h measures within a turn.
 */
#ifndef WORKER_BASE_SELF_H
#define WORKER_BASE_SELF_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm.h"

struct self {
    struct ev_loop    *loop;
    struct shm        *shm;
    struct shm_worker *mem; /* this slot's part of shm */
    struct stats      *st;  /* mem->stats */
    struct registry   *registry;
    unsigned           slot;
    struct config      conf; /* this worker's copy of the configuration */
    uint64_t           conf_version;
    bool               draining;
    bool               held; /* no identity may be claimed: an upgrade of the
                                daemon is in progress */
    bool frozen;             /* the slot is being handed over: no connection is
                                read, and nothing new begins (handover.h) */

    uint64_t began_us; /* time of self_begin(), monotonic */
    uint64_t now_us;   /* monotonic, of this turn of the loop */
    uint64_t wall_ms;  /* wall clock at this turn of the loop */
    uint8_t  now_era;  /* how often now_ms has wrapped */
    uint32_t now_ms;   /* monotonic since this worker began; wraps after 49
                          days: compare differences only */
};

extern struct self self;

/* Makes this process the worker of a slot. */
void self_begin(struct shm *shm, unsigned slot);
/* Reads now_us, now_ms and wall_ms. Called at each turn of the loop. */
void self_read_clocks(void);
/* Copies the configuration that is in force. */
void self_read_config(void);

#endif
