/*
 * claims: the sessions of this worker in Redis, by which a fleet of gateways
 * knows where each charge point is.
 *
 * Every connection has a struct claim: whether its session is claimed in Redis,
 * and with which epoch. A claim is sent when the connection opens. If Redis is
 * away, and after each new connection to Redis, the sweep sends the missing
 * claims within about a second.
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

struct queued_call;

enum claim_flag {
    CLAIM_ASKED = 1,   /* a claim is under way */
    CLAIM_HELD = 2,    /* claimed, in the shard's current round */
    CLAIM_WAITING = 4, /* commands wait in its queue, as far as is known */
    CLAIM_LATE = 8 /* Redis has an in-flight command that this worker does not
                     have: claim again */
};

/* The state in Redis of one connection, in a table by index of the
   connection. */
struct claim {
    cref                conn;       /* the connection */
    uint64_t            generation; /* generation with which it was claimed */
    uint64_t            epoch;      /* epoch that was granted */
    struct queued_call *order;      /* call_queue.c: the call that is being
                                       taken, or in flight */
    uint32_t round;                 /* round of the shard when it was claimed */
    uint32_t err;                   /* greatest error of the generation as a
                                       time, us */
    uint16_t shard;
    uint8_t  flags; /* enum claim_flag */
};

/* Called after conn_init(). inherited: the incarnation of the process whose
 * slot this worker inherits, "" for none. */
void claims_open(uint32_t capacity, const char *inherited);
/* Called before an identity is claimed in the registry: raises the sequence, so
 * that the generation is not below Redis' time. */
void claims_before_claim(void);
void claims_opened(struct conn *c);
void claims_closed(struct conn *c, enum close_reason reason);
/* Called once a second for each open connection. */
void claims_check(struct conn *c);
void claims_tick(void);
/* Releases all sessions before the worker ends. True when that is done. */
bool claims_finish(void);

/* The part of fleet/ in a connection's record (moving.h): its claim, and the
 * call from the queue that is in flight. */
void claims_write(const struct conn *c, struct buf *out);
bool claims_read(struct conn *c, struct fields *f);
/* Called when the connection has moved: its claim belongs to another worker. */
void claims_forget(const struct conn *c);

/* claims_put() writes the state that belongs to the slot: releases that Redis
 * does not have yet, and outcomes. claims_take() reads one of these records;
 * false if the record belongs to another owner. */
void claims_put(struct buf *out);
bool claims_take(struct fields *f);

/* True if the part of fleet/ is quiet: no claim is under way, and no call from
 * the queue in Redis is being taken or in flight. */
bool claims_is_quiet(const struct conn *c);

/* The claim of an open connection, NULL without [redis]. */
struct claim *claims_of(const struct conn *c);
bool          claims_holds(const struct conn *c);
/* Does the release that call_queue_close() has deferred. */
void claims_release(const char *identity, size_t len, unsigned shard,
    uint64_t epoch, unsigned reason);
/* This worker's name in Redis, "node/slot", and the incarnation of its
   process. */
const char *claims_owner(void);
const char *claims_incarnation(void);
/* The open connection of an identity on this worker, or NULL. */
struct conn *claims_find(const char *identity, size_t len);

#endif
