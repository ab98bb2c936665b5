/*
 * releases: the ends of sessions that are reported to Redis.
 *
 * A release that Redis does not take, or that is not answered, is sent again
 * once a second while the shard is alive.
 */
#ifndef WORKER_FLEET_RELEASES_H
#define WORKER_FLEET_RELEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "close.h"
#include "fields.h"

/* Reports the end of a session. epoch: that of its claim. If memory is out, it
 * is not reported: the session in Redis ends when the charge point connects
 * again. */
void releases_add(const char *identity, size_t len, unsigned shard,
    uint64_t epoch, enum close_reason reason);
/* Called once a second. */
void releases_tick(void);
/* True if some release is not answered. */
bool releases_busy(void);

/* Writes the releases that Redis does not have yet, for the process that
 * inherits the slot. releases_take() reads one; false if the record belongs to
 * another owner. */
void releases_put(struct buf *to);
bool releases_take(struct fields *f);

#endif
