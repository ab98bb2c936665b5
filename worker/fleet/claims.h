/*
 * claims: the sessions of this worker in Redis. They show to which gateway of
 * the fleet each charge point is connected.
 *
 * Every connection has a claim (claim.h). It is sent when the connection opens.
 * If Redis is away, and after each new connection to Redis, the sweep sends the
 * missing claims within about a second.
 *
 *     NONE --claim--> ASKED --ok--> HELD --shard lost--> NONE ...
 *                       \--stale--> the connection is closed: replaced
 *
 * The generation of a connection is a time in microseconds of Redis' clock, as
 * far as this worker knows it. So the order of generations is the order of
 * connections over all nodes, and the claim with the highest one wins
 * (ocppd.lua).
 *
 * A keepalive per shard and second keeps the worker's sessions alive
 * (shards.h). The inbox brings entries from other gateways and the platform
 * (inbox.h). A lost entry causes a delay until the next refresh of the session
 * (30 s).
 */
#ifndef WORKER_FLEET_CLAIMS_H
#define WORKER_FLEET_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/conn.h"

/* Called after conn_init(). inherited: the incarnation of the process whose
 * slot this worker inherits, "" for none. */
void claims_open(uint32_t capacity, const char *inherited);
/* Called before an identity is claimed in the registry: raises the sequence, so
 * that the generation is not below Redis' time. */
void claims_before_claim(void);
/* Called when a session has begun, and when it has ended. */
void claims_opened(struct conn *c);
void claims_closed(struct conn *c, enum close_reason reason);
/* Called once a second for each open connection. */
void claims_check(struct conn *c);
/* Called in each tick of the sweep. */
void claims_tick(void);
/* Releases all sessions before the worker ends. True when that is done. */
bool claims_finish(void);

/* Write and read the part of fleet/ in a connection's record (moving.h): its
 * claim, and the call from the queue that is in flight. False if the record is
 * malformed. */
void claims_write(const struct conn *c, struct buf *out);
bool claims_read(struct conn *c, struct fields *f);
/* Called when the lines of its calls are read, too. */
void claims_arrived(const struct conn *c);
/* Called when the connection has moved: its claim belongs to another worker. */
void claims_forget(const struct conn *c);

/* claims_put() writes the state that belongs to the slot: releases that Redis
 * does not have yet, and outcomes. claims_take() reads one of these records;
 * false if the record belongs to another owner. */
void claims_put(struct buf *out);
bool claims_take(struct fields *f);

#endif
