/*
 * segment_writer: the open end of one slot's journal.
 *
 * Owns the directory's descriptor, the slot's lock and the current segment.
 * When segment_writer_commit() succeeds, the batch is durable, and so is the
 * name of its file. After a failure no part of the batch counts as durable. The
 * segment is given up: it is cut back to its durable length and never written
 * again, because a failed fdatasync() may have dropped pages that look written.
 * The whole batch is then written to a new segment.
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
    char     dir[TAIL_PATH_MAX]; /* STATE_DIR/journal */
    unsigned slot;
    int      dir_fd;     /* -1: must be opened again */
    int      lock_fd;    /* held while this process writes the slot */
    int      fd;         /* the current segment; -1: none, the next batch begins
                            one */
    uint64_t    first;   /* first number, which is in its name */
    uint64_t    size;    /* durable bytes in it */
    uint64_t    born_ms; /* when it was begun, monotonic */
    bool        named;   /* its directory entry is durable */
    const char *failed;  /* after a failure: the operation that failed */
};

/* Makes the directories, and takes the lock. False with the reason and the
 * remedy in why. state_dir's parent must exist. */
bool segment_writer_open(
    struct tail *t, const char *state_dir, unsigned slot, struct buf *why);

/* Makes a batch of whole lines durable. first: number of its first event.
 * Begins a new segment if this one would exceed limit bytes. Returns 0, or an
 * errno: then t->failed names the operation, and segment_writer_give_up() must
 * be called before the next batch. */
int segment_writer_commit(
    struct tail *t, const char *p, size_t len, uint64_t first, uint64_t limit);
void segment_writer_give_up(struct tail *t);

/* Closes the segment if it is older than age_ms. */
void segment_writer_age(struct tail *t, uint64_t age_ms);

/* The path of the segment that segment_writer_commit() last wrote or tried to
 * write, for messages. */
void segment_writer_path(const struct tail *t, char *out, size_t size);

/* Closes the segment, the directory and the lock. */
void segment_writer_close(struct tail *t);

#endif
