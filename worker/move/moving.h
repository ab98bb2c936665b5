/*
 * moving: a connection as lines of text, for another worker process.
 *
 * A connection moves as its descriptor, one line `conn` (fields.h), and a line
 * for each of its calls and parked CALLs. Each owner of state writes and reads
 * its part of the line; moving.c lists the owners. A key never gets another
 * meaning. A reader ignores unknown keys, and a missing one has a default, so
 * that programs of different versions understand each other. Numbers are
 * checked as input from outside.
 *
 * Times that are relative to a process are written as ages; times of the
 * machine's monotonic clock (microseconds of clock_mono_ns()) as they are.
 *
 * The lines contain keys of TLS, so buffers with them are wiped (pair.h).
 */
#ifndef WORKER_MOVE_MOVING_H
#define WORKER_MOVE_MOVING_H

#include "net/conn.h"

/* Appends the lines of a connection whose reading has stopped. False, with no
 * line appended, if its state cannot be moved. */
bool moving_write(struct conn *c, struct buf *out);

/* The most bytes of its lines, without its calls. The buffer is reserved
 * before, because growing while they are written would leave copies in the
 * heap. */
size_t moving_bytes(const struct conn *c);

/* Makes a connection from a `conn` line. Takes over fd, also on failure.
 * Returns NULL on failure; then the session of an open connection was ended.
 * same: the writer had the same shared memory; otherwise `entry` is the
 * identity's registry entry in this one. */
struct conn *moving_read(struct fields *f, int fd, bool same, uint32_t entry);

/* Reads one of the lines behind it. c is NULL if the connection did not arrive.
 * False if the line belongs to no owner. */
bool moving_read_part(struct conn *c, struct fields *f);

/* Called when all of its lines were read: starts serving it. */
void moving_arrived(struct conn *c);

/* Called when it has moved: forgets it here. */
void moving_forget(struct conn *c);

/* True if a worker of another slot can take the connection: no answer or
 * command of it waits for this slot. */
bool moving_is_free(const struct conn *c);

#endif
