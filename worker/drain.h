/*
 * drain: letting all connections go, evenly over a time, with 1001.
 */
#ifndef WORKER_DRAIN_H
#define WORKER_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

/* No new connections; those there are closed over `ms`. Again with a
 * shorter time hurries. */
void drain_begin(uint64_t ms);
/* Each tick of the sweep. True when nothing is left and the worker may go. */
bool drain_tick(void);

#endif
