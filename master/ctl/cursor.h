/*
 * cursor: keeps the position of a reader of `ocppctl events` in a file.
 *
 * The file holds the number of the last event that the reader has handled; a
 * later run continues behind it. So the reader gets every event at least once,
 * even if it or ocppctl dies. If the output is a pipe, an event counts as
 * handled when the reader has begun to read the bytes behind it: the kernel
 * reports how many bytes of the pipe are unread. This is correct for a reader
 * that handles a line before it reads the next one, such as the shell's `read`.
 * In other outputs an event counts as handled when it is written.
 */
#ifndef MASTER_CTL_CURSOR_H
#define MASTER_CTL_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct cursor {
    const char *path; /* NULL: there is no file, and all calls do nothing */
    uint64_t    saved;
    uint64_t    written; /* bytes of output so far */
    bool        pipe, file;
    struct cursor_step {
        uint64_t number;
        uint64_t end; /* where its line ends, in bytes of output */
    } * steps;
    size_t n, cap;
};

/* Reads the file; path must stay valid. *from is the number behind which to
 * continue, 0 if the file is missing. False with a sentence in why if it cannot
 * be read or holds no number. */
bool cursor_open(
    struct cursor *c, const char *path, uint64_t *from, struct buf *why);

/* Called when an event was written to the output; bytes: the length of its
 * line; 0: it was skipped. */
void cursor_add(struct cursor *c, uint64_t number, size_t bytes);

/* Saves the number of the last handled event. Called regularly, and at the end.
 * False with a sentence if the file cannot be written. */
bool cursor_save(struct cursor *c, struct buf *why);

/* True if some events are not handled yet, so that cursor_save() should be
   called again soon. */
bool cursor_waits(const struct cursor *c);

/* True if the reader has read all bytes. */
bool cursor_all_read(const struct cursor *c);

#endif
