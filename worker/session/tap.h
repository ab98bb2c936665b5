/*
 * tap: copies of frames for `ocppctl tap`, as they pass.
 *
 * Without a tap, a frame costs one comparison. A reader that does not keep up
 * loses frames, and the next one carries their number; nothing waits for the
 * reader.
 */
#ifndef WORKER_SESSION_TAP_H
#define WORKER_SESSION_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"

#define TAP_MAX 16         /* taps at the same time */
#define TAP_FRAME_MAX 8192 /* bytes of a frame that are shown */

enum tap_direction { TAP_IN, TAP_OUT };

/* pattern: for fnmatch(3), matched against identities. Does nothing if there
 * are TAP_MAX taps, or if there is one with this id. */
void tap_add(uint64_t id, const char *pattern);
void tap_remove(uint64_t id);

/* Writes all taps as lines, for the process that inherits the slot. tap_read()
 * reads one of them; false if the line is not one. */
void tap_write(struct buf *out);
bool tap_read(struct fields *f);

/* Taps that are open in this worker. */
extern unsigned tap_count;

/* Sends a copy of the frame to the taps of this connection; use tap_frame(). */
void tap_copy(struct conn *c, enum tap_direction d, const char *text,
    size_t len, const char *decision);

/* decision: how the frame was handled, in a few words. */
static inline void
tap_frame(struct conn *c, enum tap_direction d, const char *text, size_t len,
    const char *decision)
{
    if (__builtin_expect(tap_count > 0, 0))
        tap_copy(c, d, text, len, decision);
}

#endif
