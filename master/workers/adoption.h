/*
 * adoption: serves the listening sockets of a worker that is not alive.
 *
 * The kernel spreads new clients over the sockets of all worker slots, also
 * over those of a worker that hangs, is drained or waits for its successor. The
 * master holds these sockets. When the worker of a slot has not been alive for
 * a second, they are passed to another worker, which accepts from them too.
 * When the slot is alive again, that worker closes them.
 */
#ifndef MASTER_WORKERS_ADOPTION_H
#define MASTER_WORKERS_ADOPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "workers/listen.h"

/* The longest time between two calls of adoption_look() for a slot. */
#define ADOPTION_PULSE_MS 250

/* lived_ms: when the slot's worker last showed that it accepts connections;
 * clock_mono_ms(). */
void adoption_look(unsigned slot, const struct listen_set *set,
    uint64_t lived_ms, uint64_t now_ms);

/* Called when another process serves the slot, which has adopted no sockets. */
void adoption_replaced(unsigned slot);

#endif
