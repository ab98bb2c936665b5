/*
 * ship: the journal's way to Redis.
 *
 *     journal files --> reader --> one batch per shard --> ocppd_ship
 *          ^                                                   |
 *          +------ journal_keep(), hint file <---- acknowledged
 *
 * Every event of this worker's slot goes to the stream of its shard, in the
 * journal's order and once. What has arrived is known in Redis itself: each
 * shard keeps, for each journal, the number of the last event, and takes a
 * batch only if it begins there (ocppd_ship). So nothing needs to be held in
 * memory for a repetition: after any failure the cursors are asked for and
 * the files read again from there, also when the server has lost its last
 * second.
 *
 * A file beside the segments remembers up to where everything was shipped;
 * it is a hint that spares reading what is old, and may be lost.
 *
 * Slot 0 ships the journals of slots that have no worker any more, too.
 */
#ifndef WORKER_FLEET_SHIP_H
#define WORKER_FLEET_SHIP_H

#include <stdbool.h>
#include <stdint.h>

/* Right after journal_open(). */
void ship_open(void);
/* Events are durable: at the end of this turn of the loop they are sent. */
void ship_poke(void);
/* Often. */
void ship_tick(void);
void ship_lost(void);
/* All that is durable is shipped and acknowledged. */
bool ship_idle(void);

#endif
