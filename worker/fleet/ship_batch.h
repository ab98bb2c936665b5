/*
 * ship_batch: events as one request to Redis (ocppd_ship).
 *
 * A batch holds the next events of one shard. Lines are not copied: they must
 * stay valid until ship_batch_send().
 */
#ifndef WORKER_FLEET_SHIP_BATCH_H
#define WORKER_FLEET_SHIP_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fleet/redis.h"
#include "ocpp/json.h"

#define BATCH_EVENTS 64
#define BATCH_BYTES (256u << 10)

struct ship_batch_sum {
    uint32_t events, bytes;
    uint64_t first, last; /* event numbers */
    uint64_t first_ms;    /* time stamp of the first event, wall clock */
};

/* Empties the batch. */
void ship_batch_clear(void);
/* True if it holds BATCH_EVENTS events, or BATCH_BYTES bytes or more. */
bool ship_batch_full(void);
enum ship_batch_added { BATCH_ADDED, BATCH_NO_EVENT, BATCH_NO_MEMORY };
/* Adds a line of the journal, unless it is not an event or memory is out. */
enum ship_batch_added ship_batch_add(
    const char *line, size_t len, uint64_t number);
/* What the batch holds now; static. */
const struct ship_batch_sum *ship_batch_sum(void);
/* Sends the added events. from: the number that the shard's cursor must have, 0
 * for none. False if they were not sent. */
bool ship_batch_send(unsigned shard, const char *journal, uint64_t from,
    redis_fn *fn, void *ctx);

/* Finds the shard of a line; false if the line is not an event. */
bool ship_batch_shard(const char *line, size_t len, unsigned *shard);

#endif
