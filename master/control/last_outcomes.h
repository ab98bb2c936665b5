/*
 * last_outcomes: the outcomes of the last commands, for clients that did not
 * wait for them.
 *
 * A ring in the master's memory, bounded in number and bytes; the journal has
 * every outcome for as long as it is kept. Redis, and not this ring, keeps the
 * outcomes of commands that came through Redis.
 */
#ifndef MASTER_CONTROL_LAST_OUTCOMES_H
#define MASTER_CONTROL_LAST_OUTCOMES_H

#include <stdbool.h>
#include <stddef.h>

#include "fields.h"
#include "stats.h"

#define LAST_OUTCOMES_KEPT 1024u
#define LAST_OUTCOMES_BYTES (8u << 20) /* of all of them */
/* Bytes; a longer outcome is omitted. */
#define LAST_OUTCOMES_ONE (64u << 10)

/* Copies an outcome, in the place of the oldest one. */
void last_outcomes_put(
    const char *command_id, enum outcome outcome, const char *json, size_t len);

/* True if the next outcome takes the place of the oldest, or if half of
   LAST_OUTCOMES_BYTES is in use. */
bool last_outcomes_full(void);

/* For another process: writes the record of the i-th outcome, oldest first; out
 * stays empty if there is none in this place. False if i is too high. */
bool last_outcomes_write(unsigned i, struct buf *out);
/* Reads such a record. False if it is not one. */
bool last_outcomes_read(struct fields *f);

/* The last outcome with that id: its JSON, valid until the next call; NULL if
 * it is not kept. */
const char *last_outcomes_find(
    const char *command_id, enum outcome *outcome, size_t *len);

#endif
