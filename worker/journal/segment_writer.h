/*
 * segment_writer: the open end of one slot's journal.
 *
 * Owns the directory's descriptor, the slot's lock and the segment that is
 * written. What segment_writer_commit() has taken is durable, its file's name
 * included; after a failure nothing of that batch may be relied on, and the
 * segment is given up: cut back to what was durable, and never written
 * again (a failed fdatasync may have dropped pages that look written).
 * The batch is then written anew, whole, to a fresh segment.
 *
 * One thread at a time.
 */
#ifndef WORKER_JOURNAL_SEGMENT_WRITER_H
#define WORKER_JOURNAL_SEGMENT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "journal_line.h"

#define TAIL_PATH_MAX 256

struct tail {
    char        dir[TAIL_PATH_MAX]; /* STATE_DIR/journal */
    unsigned    slot;
    int         dir_fd;  /* -1: to be opened again */
    int         lock_fd; /* held while this process writes the slot */
    int         fd;      /* the segment; -1: none, the next batch begins one */
    uint64_t    first;   /* number in its name */
    uint64_t    size;    /* durable bytes in it */
    uint64_t    born_ms; /* when it was begun, monotonic */
    bool        named;   /* its directory entry is durable */
    const char *failed;  /* after a failure: what could not be done */
};

/* Makes the directories, takes the lock. False: why says what and what to
 * do. state_dir's parent must exist. */
bool segment_writer_open(
    struct tail *t, const char *state_dir, unsigned slot, struct buf *why);

/* Makes a batch of whole lines durable; first is its first event's number.
 * Begins a new segment if the batch would pass limit bytes in this one.
 * Returns 0, or an errno: then t->failed says what failed, and
 * segment_writer_give_up() must be called before the next batch. */
int segment_writer_commit(
    struct tail *t, const char *p, size_t len, uint64_t first, uint64_t limit);
void segment_writer_give_up(struct tail *t);

/* Closes the segment if it is older than age_ms. */
void segment_writer_age(struct tail *t, uint64_t age_ms);

/* The path of the current segment, for messages: of what
 * segment_writer_commit() last wrote or tried to write. */
void segment_writer_path(const struct tail *t, char *out, size_t size);

void segment_writer_close(struct tail *t);

#endif
