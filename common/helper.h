/*
 * helper: a thread that does what may wait, so that an event loop never does.
 *
 * A file, a lock or a name server may take any time to answer. The loop
 * submits a job to a helper; work() runs in the helper's thread, one job at a
 * time and in order; done() runs on the loop afterwards, and frees the job.
 * The loop never waits for a helper, and a helper never touches what belongs
 * to the loop: all that work() needs is a copy in its job.
 *
 * There is one helper for each kind of thing that can hang (a disk does not
 * delay the look-up of a name). Its thread is started by the first job.
 *
 * The loop watches the descriptor of helper_open(), calls helper_finish() when
 * it is readable, and helper_tick() once a second. All functions except work()
 * run in the thread of the loop.
 */
#ifndef COMMON_HELPER_H
#define COMMON_HELPER_H

#include <stdbool.h>
#include <stdint.h>

/* Embedded as the first member of the struct that describes the job. */
struct helper_job {
    struct helper_job *next; /* owned by the helper, from helper_submit() to
                                done() */
    void (*work)(struct helper_job *);
    void (*done)(struct helper_job *);
};

struct helper {
    const char *name;  /* name of the thread, at most 15 bytes:
                          "ocppd-names" */
    const char *waits; /* what the job waits for, for the log: "the name
                          server" */
    unsigned most;     /* jobs that may be queued or running */
    uint64_t late_ms;  /* a job that runs longer is reported */

    /* private to helper.c */
    struct helper     *next_helper;
    struct helper_job *first, **last;
    unsigned           jobs;
    uint64_t           since_ms; /* when the running job began; 0: none */
    bool               started;
    bool               reported;
    void              *wake;
};

#define HELPER_INIT(name_, waits_, most_, late_ms_)                            \
    {                                                                          \
        .name = (name_), .waits = (waits_), .most = (most_),                   \
        .late_ms = (late_ms_)                                                  \
    }

/* Makes the descriptor that is readable while finished jobs wait for
 * helper_finish(); -1 with errno. Called once, before the first job. */
int helper_open(void);

/* False if the helper has `most` jobs already or its thread cannot be started
 * (logged once): the job was not taken, and the caller tries again later. */
bool helper_submit(struct helper *h, struct helper_job *job);

/* Runs work() and done() at once, in the caller's thread: before the loop,
 * where waiting harms nothing. Returns true, as helper_submit() does. */
bool helper_run(struct helper_job *job);

/* Calls done() of each finished job. */
void helper_finish(void);

/* Logs each helper whose job has run for longer than late_ms, and its end.
 * Returns how many are late now. */
unsigned helper_tick(void);

/* True while a job of this helper is queued or running, or a job of any helper
 * waits for helper_finish(). */
bool helper_busy(const struct helper *h);

/* In a child after fork(2): no thread was inherited and every job is lost. */
void helper_forget(void);

#endif
