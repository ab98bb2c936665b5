/*
 * cursor: how far a reader of `ocppctl events` has come, in a file.
 *
 * The file holds the number of the last event that the reader is done with; a
 * later run goes on behind it. So the reader gets every event at least once,
 * also if it or ocppctl dies. Where the output is a pipe, an event is done when
 * the reader has begun to read what stands behind it: the kernel reports how
 * many bytes of the pipe are unread. That is right for a reader that handles a
 * line before it reads the next one, such as the shell's read. In other outputs
 * an event is done when it is written.
 */
#ifndef MASTER_CTL_CURSOR_H
#define MASTER_CTL_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct cursor {
    const char *path; /* NULL: there is none, and all calls do nothing */
    uint64_t    saved;
    uint64_t    written; /* bytes of output so far */
    bool        pipe, file;
    struct cursor_step {
        uint64_t number;
        uint64_t end; /* of its line, in bytes of output */
    } * steps;
    size_t n, cap;
};

/* *from: the number to go on behind; 0 if the file is missing. False with a
 * sentence. */
bool cursor_open(
    struct cursor *c, const char *path, uint64_t *from, struct buf *why);

/* An event was put into the output, which will then have so many bytes more;
 * 0: it was passed over. */
void cursor_add(struct cursor *c, uint64_t number, size_t bytes);

/* Saves what is done; to be called now and then, and at the end. False with a
 * sentence if the file cannot be written. */
bool cursor_save(struct cursor *c, struct buf *why);

/* Events are not done yet: it is worth calling again soon. */
bool cursor_waits(const struct cursor *c);

/* The reader has taken all bytes. */
bool cursor_all_read(const struct cursor *c);

#endif
