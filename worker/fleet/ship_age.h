/*
 * ship_age: since when the first event of a journal waits that was not shipped
 * before a restart.
 *
 * The worker notes the time of each event that it makes. Of those in the files
 * it only knows their numbers, which are no times after a step of the clock,
 * and the first of them may stand far inside of a segment: a helper thread
 * reads the files up to it.
 */
#ifndef WORKER_FLEET_SHIP_AGE_H
#define WORKER_FLEET_SHIP_AGE_H

#include <stdint.h>

/* ms: the time stamp of the event, in milliseconds since 1970. */
typedef void ship_age_fn(void *ctx, uint64_t ms);

/* Looks for the first event of the slot's journal with this number or a higher
 * one. found is called from the loop, with ctx, which must stay valid; it is
 * not called if there is no such event or it cannot be read. dir: the directory
 * of the journals; must stay valid. */
void ship_age_find(const char *dir, unsigned slot, uint64_t from,
    ship_age_fn *found, void *ctx);

#endif
