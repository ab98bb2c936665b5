/*
 * adoption: the listening sockets of a worker that does not live.
 *
 * The kernel spreads new clients over the sockets of all worker slots, also
 * over those of a worker that hangs, is drained or waits for its successor.
 * The master holds these sockets. When a slot has not lived for a second, they
 * are passed to a worker that lives, which accepts from them too; when the slot
 * lives again, that worker closes them.
 */
#ifndef MASTER_WORKERS_ADOPTION_H
#define MASTER_WORKERS_ADOPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "workers/listen.h"

/* Between two calls of adoption_look() for a slot, at most. */
#define ADOPTION_PULSE_MS 250

/* lived_ms: when the slot's worker last showed that it accepts connections;
 * clock_mono_ms(). */
void adoption_look(unsigned slot, const struct listen_set *set,
    uint64_t lived_ms, uint64_t now_ms);

/* Another process serves the slot: it has adopted nothing. */
void adoption_replaced(unsigned slot);

#endif
