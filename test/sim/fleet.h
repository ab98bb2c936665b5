/*
 * fleet: the charge points of one process.
 *
 * It has their array, the loop, the ramp, the clock (a tick of 10 ms that turns
 * the wheel) and the pump, which sends the load of --rate. The pump is
 * open-loop: the k-th message is due at run_ns + k / rate, whether or not
 * earlier messages were answered, and its latency is counted from that time.
 *
 *   parent                     process 0 .. P-1
 *     | phase RAMP               open connections, at the ramp's rate
 *     |<------- ramped ---------
 *     | phase RUN, run_ns        load (charge points that have sessions have
 *     |                          begun when they were connected)
 *     |<------- done -----------
 *     | phase DRAIN, end_ns      no new messages; answers are awaited
 *     |<------- drained --------
 *     | phase QUIT               close 1000, count what is missing, exit
 */
#ifndef SIM_FLEET_H
#define SIM_FLEET_H

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "link.h"
#include "options.h"
#include "tally.h"
#include "wheel.h"

enum fleet_phase { FLEET_RAMP, FLEET_RUN, FLEET_DRAIN, FLEET_QUIT };

#define FLEET_TICK_MS 10u

/* Shared by the parent, which stores the first four members, and its children.
 * The phase is stored with release and loaded with acquire, so a child that
 * sees a phase sees the times that were stored before it. */
struct fleet_shared {
    _Atomic int      phase;
    _Atomic uint64_t run_ns; /* monotonic */
    _Atomic uint64_t end_ns;
    _Atomic uint64_t storm_ns; /* 0: there was no storm yet */
    struct tally     tally[];  /* one for each process */
};

struct point;

/* The state of this process. */
struct fleet {
    const struct options *o;
    struct fleet_shared  *shared;
    struct tally         *tally;
    unsigned              process, processes;
    struct ev_loop       *loop;
    struct point         *points;
    uint32_t              count; /* number of charge points, rivals included */
    uint32_t              first_rival;
    uint32_t              tick; /* since the start; never 0 */
    int                   phase;
    uint32_t              nonce; /* of the run; part of all message ids */
    uint64_t              rng;
    uint32_t untried;   /* charge points whose first attempt is not concluded */
    uint32_t unstormed; /* charge points dropped by the storm, and not connected
                           again yet */
    uint32_t unfinished; /* charge points that have --messages left to send */
    uint32_t busy;       /* CALLs in flight */
    uint64_t queued;     /* items in all outboxes */
    int      tell;       /* pipe; a byte in it wakes the parent */
};
extern struct fleet fleet;
extern struct wheel fleet_wheel; /* for the timers of the charge points */

uint32_t fleet_ticks(double seconds); /* the result is at least 1 */
double   fleet_chance(void);          /* a random number, 0 <= x < 1 */

/* Called when the charge point may send a message of the load. It sends one at
 * once (closed loop), or when its turn comes. */
void fleet_ready(struct point *p);
void fleet_unready(struct point *p);

/* Called after each read. Sends the messages that have become due. */
void fleet_linked(struct link *l);

/* Takes a socket that must stay open and silent. */
void fleet_bury(int fd);

/* Prints an error; only the first few of each process are printed. */
void fleet_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The number of descriptors that a process has for charge points. */
uint64_t fleet_capacity(const struct options *o);

/* Runs a child; returns its exit code. */
int fleet_run(const struct options *o, struct fleet_shared *shared,
    unsigned process, unsigned processes, uint32_t nonce, int tell);

#endif
