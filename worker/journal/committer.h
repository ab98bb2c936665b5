/*
 * committer: the thread that makes events durable.
 *
 * Two buffers: the loop fills one while the thread writes the other, and the
 * thread exchanges them when it is done. The loop holds the lock for a copy
 * of one line, the thread for the exchange; neither ever does so across a
 * system call, but for waking the other.
 *
 * A process has one. committer_ functions belong to the loop's thread. The
 * thread logs nothing and calls nothing but env->progress: what it has to
 * report is in struct committer_news.
 */
#ifndef WORKER_JOURNAL_COMMITTER_H
#define WORKER_JOURNAL_COMMITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "config.h"
#include "journal/retention.h"
#include "shm.h"
#include "journal/segment_writer.h"

#define COMMITTER_WORDS_MAX 640

struct committer_env {
    /* The counters commits, journal_errors, commit_time, journal_failing,
     * journal_disk_free_bytes and journal_disk_size_bytes and the field
     * journal_errno belong to the thread. */
    struct shm_worker   *mem;
    unsigned             slots;   /* workers there are */
    uint64_t             durable; /* what recovery found */
    const struct config *conf;    /* read now and in committer_tick() */
    void (*progress)(void); /* on the thread: committer_news() has changed */
};

struct committer_news {
    uint64_t durable; /* events up to here are */
    uint64_t pending; /* the first that is not; UINT64_MAX if there is none */
    size_t   backlog; /* bytes not durable yet */
    uint64_t lost;    /* events given up, after committer_stop() */
    int      err;     /* errno while commits fail, else 0 */
    unsigned turns;   /* how often err changed */
    uint64_t failing_since;              /* monotonic ms, of the last time */
    char     words[COMMITTER_WORDS_MAX]; /* of the last failure, if turns is
                                            not what it was in *news before */
    struct retention_done done;          /* since the last look */
};

/* The open tail becomes the thread's until committer_stop() has closed it.
 * False: why says why there is no thread, and the tail is closed. */
bool committer_start(
    const struct committer_env *env, const struct tail *t, struct buf *why);

/* Copies a line into the buffer, ends it with a line feed. False if there is
 * no room. *busy: much is buffered, so waking the thread should not wait. */
bool committer_put(uint64_t number, const char *line, size_t len, bool *busy);

/* Lets the thread begin, if it sleeps; no system call if it does not. */
void committer_wake(void);

/* Takes over knobs; lets the thread look after segments. Once a second. */
void committer_tick(void);

/* Copies what the thread has done so far. */
void committer_look(struct committer_news *news);

/* Commits what is there (one more try, if the disk does not take it), ends
 * the thread, closes the tail. */
void committer_stop(struct committer_news *news);

#endif
