/*
 * ship: sends the journal's events to Redis.
 *
 *     journal files --> reader --> one batch per shard --> ocppd_ship
 *          ^                                                   |
 *          +------ journal_keep(), hint file <---- acknowledged
 *
 * Every event of this worker's slot is sent to the stream of its shard once, in
 * the order of the journal. For each journal, a shard keeps a cursor, the
 * number of the last event, and accepts a batch only if it begins there
 * (ocppd_ship). So no event needs to be kept in memory for a repetition. After
 * any failure, also if the server has lost its last second, the cursors are
 * requested and the files are read again from there.
 *
 * A file beside the segments holds the number up to which all events are
 * shipped. It is only a hint, which avoids reading old events, and may be lost.
 *
 * Slot 0 ships the journals of slots that have no worker any more, too.
 */
#ifndef WORKER_FLEET_SHIP_H
#define WORKER_FLEET_SHIP_H

#include <stdbool.h>
#include <stdint.h>

/* Called right after journal_open(). */
void ship_open(void);
/* Called when events became durable: they are sent at the end of this turn of
   the loop. */
void ship_poke(void);
/* Called several times a second. */
void ship_tick(void);
/* Called when a shard was lost: the journeys stop, and the cursors are
 * requested again when all shards are ready. */
void ship_lost(void);
/* True if all durable events are shipped and acknowledged. */
bool ship_idle(void);

#endif
