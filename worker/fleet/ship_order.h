/*
 * ship_order: which event must wait for the events of other journals.
 *
 * The events of an identity reach the stream in the order of their numbers,
 * also if its charge point has changed its worker. The first event of a session
 * names the slot of the former one (journal_line_after()), and is shipped after
 * the events of that slot with lower numbers. Each worker publishes in shared
 * memory the number below which all events of its slot are in Redis
 * (shm_worker.ship_floor; orphans_floor for all slots without a worker).
 *
 * The former event may be lost, for example by the death of its worker, and
 * with it the name of the one before it. An event that names a number below
 * shm_worker.complete_from therefore waits for all slots.
 */
#ifndef WORKER_FLEET_SHIP_ORDER_H
#define WORKER_FLEET_SHIP_ORDER_H

#include <stdbool.h>

#include "journal_line.h"

/* True if the event must wait for one of another journal that is not in Redis
 * yet. That one has a lower number, so the lowest of all events that are not
 * shipped never waits. from, own: the slot of the event's journal, and whether
 * it is this worker's. */
bool ship_order_waits(unsigned from, bool own, const struct journal_line *line);

#endif
