/*
 * self: what this worker process is: its loop, its shared memory, its time.
 *
 * One global, set by self_begin() before anything else runs. Time is read
 * once per turn of the loop; to measure within a turn, use clock.h.
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
    struct config      conf; /* this worker's copy, whole */
    uint64_t           conf_version;
    bool               draining;
    bool               held; /* no identity is claimed: the daemon's upgrade
                                is under way */
    bool frozen;             /* the slot is being handed over: nothing is
                                read, and nothing begins (handover.h) */

    uint64_t began_us; /* self_begin(), monotonic */
    uint64_t now_us;   /* monotonic, of this turn of the loop */
    uint64_t wall_ms;  /* of this turn of the loop */
    uint8_t  now_era;  /* how often now_ms has wrapped */
    uint32_t now_ms;   /* monotonic since this worker began; wraps after 49
                          days: compare differences only */
};

extern struct self self;

/* The process begins to be the worker of a slot. */
void self_begin(struct shm *shm, unsigned slot);
/* now_us, now_ms and wall_ms; at each turn of the loop. */
void self_read_clocks(void);
/* Takes over the configuration that is in force. */
void self_read_config(void);

#endif
