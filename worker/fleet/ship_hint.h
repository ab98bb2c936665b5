/*
 * ship_hint: the file beside a journal's segments with the events up to which
 * it is shipped.
 *
 *     shards 2 of ocpp: id 1f3a...     the shards, prefix and journal
 *     all 0006515f2e5ad3c4             all events up to this one are there
 *     0 0006515f2e5ad3ff               shard 0 has its events up to this one
 *
 * With the file a new worker need not read old events, and it can detect that
 * Redis has lost acknowledged events. The file may be lost: the cursors in
 * Redis decide.
 */
#ifndef WORKER_FLEET_SHIP_HINT_H
#define WORKER_FLEET_SHIP_HINT_H

#include <stdbool.h>
#include <stdint.h>

struct ship_hint {
    const char *dir;     /* directory of the journals */
    unsigned    slot;    /* slot of the journal */
    bool        unnamed; /* the file is of version 0.1, which wrote no id */
    bool        writing; /* the helper writes the file */
    uint64_t    all;     /* all events up to this one are in Redis */
    uint64_t    kept;    /* the value of `all` in the file */
    uint64_t   *of; /* by shard: the last event that is known to be in Redis */
};

/* Reads the file of a slot's journal in dir. If there is none, or it belongs to
 * another journal, prefix or number of shards, all numbers are 0. False if
 * memory is out. dir and *h must stay valid and in place. */
bool ship_hint_open(struct ship_hint *h, const char *dir, unsigned slot);

/* Lets the helper thread write the file if `all` has grown. A disk that hangs
 * delays only the file. */
void ship_hint_write(struct ship_hint *h);

#endif
