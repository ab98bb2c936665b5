/*
 * drain: closes all connections with 1001, evenly over a time.
 */
#ifndef WORKER_DRAIN_H
#define WORKER_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

/* Stops accepting, and closes all connections within `ms`. A second call with a
 * shorter time closes them faster. */
void drain_begin(uint64_t ms);
/* Called in each tick of the sweep. True when no connection is left and the
   worker may end. */
bool drain_tick(void);

#endif
