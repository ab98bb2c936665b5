/*
 * committer: the thread that makes events durable.
 *
 * Two buffers: the loop fills one while the thread writes the other; the thread
 * exchanges them when it is done. The loop holds the lock while it copies one
 * line, the thread while it exchanges the buffers. Neither holds it across a
 * system call, except to wake the other.
 *
 * A process has one committer. All committer_ functions are called in the
 * loop's thread. The committer's thread logs nothing and calls only
 * env->progress; its reports are in struct committer_news.
 */
#ifndef WORKER_JOURNAL_COMMITTER_H
#define WORKER_JOURNAL_COMMITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "config.h"
#include "journal/retention.h"
#include "journal/segment_writer.h"
#include "shm.h"

#define COMMITTER_WORDS_MAX 640

struct committer_env {
    /* The counters commits, journal_errors, commit_time, journal_failing,
     * journal_disk_free_bytes and journal_disk_size_bytes and the field
     * journal_errno belong to the thread. */
    struct shm_worker *mem;
    unsigned           slots;   /* number of worker slots */
    uint64_t           durable; /* the last durable event that recovery
                                   found */
    const struct config *conf;  /* read now and in committer_tick() */
    void (*progress)(void); /* on the thread: committer_news() has changed */
};

struct committer_news {
    uint64_t durable; /* events up to this number are durable */
    uint64_t pending; /* floor of the first event that is not; UINT64_MAX if
                         there is none */
    size_t   backlog; /* bytes not durable yet */
    uint64_t lost;    /* events that were given up; set by committer_stop() */
    int      err;     /* errno while commits fail, else 0 */
    unsigned turns;   /* how often err changed */
    uint64_t failing_since;          /* when the last failure began,
                                        monotonic ms */
    char words[COMMITTER_WORDS_MAX]; /* sentence about the last failure;
                                        copied only if turns differs from
                                        the value in *news */
    struct retention_done done;      /* since the last committer_look() */
};

/* Starts the thread, which owns the open tail until committer_stop() has closed
 * it. False if the thread could not be started: why has the reason, and the
 * tail is closed. */
bool committer_start(
    const struct committer_env *env, const struct tail *t, struct buf *why);

/* Copies a line into the buffer, with its checksum and a line feed. floor: the
 * number from which on journal_floor reports events as waiting while this one
 * does; at most its own. False if the buffer would hold more than
 * journal.buffer_size (but an empty one takes any line), if the line is longer
 * than JOURNAL_LINE_MAX with its checksum, or if memory is out. *busy: much is
 * buffered, so the thread should be woken at once. */
bool committer_put(
    uint64_t number, uint64_t floor, const char *line, size_t len, bool *busy);

/* Wakes the thread if it sleeps; otherwise makes no system call. */
void committer_wake(void);

/* Takes over changed knobs, and lets the thread close and remove segments.
   Called once a second. */
void committer_tick(void);

/* Copies the thread's reports. */
void committer_look(struct committer_news *news);

/* Commits the buffered events (tried once more if the disk fails), ends the
 * thread, closes the tail. */
void committer_stop(struct committer_news *news);

#endif
