/*
 * moving: a connection as lines of text, for another worker process.
 *
 * A connection moves as its descriptor and one line `conn` (fields.h), behind
 * it a line for each of its calls and parked CALLs. Each owner of state writes
 * and reads its own part; moving.c is the one list of the owners. Keys are
 * never used again with another meaning: a reader ignores those that it does
 * not know, and a missing one has a default, so that programs of different
 * versions understand each other. Numbers are checked as input from outside.
 *
 * Times of a process are written as ages; monotonic times of the machine
 * (microseconds of clock_mono_ns()) as they are.
 *
 * The lines hold the keys of TLS: buffers with them are wiped (pair.h).
 */
#ifndef WORKER_MOVE_MOVING_H
#define WORKER_MOVE_MOVING_H

#include "net/conn.h"

/* Appends the lines of a connection that is not read any more. False, and
 * nothing is appended, if its state cannot be moved. */
bool moving_write(struct conn *c, struct buf *out);

/* Room that its lines take, at most but for its calls: a buffer that grows
 * while they are written would leave copies of them in the heap. */
size_t moving_bytes(const struct conn *c);

/* Makes a connection of a `conn` line. Takes over fd, also on failure; NULL
 * then, and if it was an open one, its session has ended. same: the writer had
 * the same shared memory; otherwise entry is where the identity was inserted
 * in this one. */
struct conn *moving_read(struct fields *f, int fd, bool same, uint32_t entry);

/* One of the lines behind it. c may be NULL: the connection did not arrive.
 * False if the line belongs to no owner. */
bool moving_read_part(struct conn *c, struct fields *f);

/* All of its lines are there: it is served from here on. */
void moving_arrived(struct conn *c);

/* It has moved: forgets it here. */
void moving_forget(struct conn *c);

/* Nothing that belongs to this slot waits for the connection, so that a worker
 * of another slot can have it. */
bool moving_is_free(const struct conn *c);

#endif
