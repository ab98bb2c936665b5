/*
 * claims: this worker's part in a fleet of gateways.
 *
 * Every connection has a struct claim: whether its session is claimed in
 * Redis, and with which epoch. Claims go out when the connection opens; with
 * Redis away, or again after each new connection to it, the sweep makes up for
 * them within a second or so.
 *
 *     NONE --claim--> ASKED --ok--> HELD --shard lost--> NONE ...
 *                       \--stale--> the connection is closed: replaced
 *
 * Generations of connections are times in microseconds of Redis' clock, as
 * well as this worker knows: so their order is the order of connections
 * over all nodes, and the claim with the highest wins (ocppd.lua).
 *
 * Once a second a keepalive per shard keeps the worker's sessions alive
 * (shards.h); the inbox brings what others have for this worker (inbox.h). A
 * lost entry delays things until the next refresh of the session (30 s).
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

/* The state in Redis of one connection; by its index. */
struct claim {
    cref                conn;       /* the connection */
    uint64_t            generation; /* as claimed */
    uint64_t            epoch;      /* as granted */
    struct queued_call *order;      /* call_queue.c: asked for, or in flight */
    uint32_t            round;      /* of the shard, when it was claimed */
    uint32_t            err;        /* of the generation as a time, us */
    uint16_t            shard;
    uint8_t             flags; /* enum claim_flag */
};

/* After conn_init(). inherited: the incarnation of the process whose slot this
 * worker inherits, "" for none. */
void claims_open(uint32_t capacity, const char *inherited);
/* Before an identity is claimed in the registry: what it draws as generation
 * is not below Redis' time. */
void claims_before_claim(void);
void claims_opened(struct conn *c);
void claims_closed(struct conn *c, enum close_reason reason);
/* Once a second for each open connection. */
void claims_check(struct conn *c);
void claims_tick(void);
/* Releases all sessions before the worker ends; true when that is done. */
bool claims_finish(void);

/* The part of fleet/ in a connection's record (moving.h): its claim and
 * the call of the queue that is in flight. */
void claims_write(const struct conn *c, struct buf *out);
bool claims_read(struct conn *c, struct fields *f);
/* It has moved: its claim is another worker's. */
void claims_forget(const struct conn *c);

/* The part that belongs to the slot: releases that Redis does not have yet,
 * and outcomes. claims_take() takes one of the records that claims_put()
 * wrote; false if the record is another owner's. */
void claims_put(struct buf *out);
bool claims_take(struct fields *f);

/* The part of fleet/ is quiet: no claim is under way, and no call of the queue
 * in Redis is asked for or in flight. */
bool claims_is_quiet(const struct conn *c);

/* The claim of an open connection, NULL without [redis]. */
struct claim *claims_of(const struct conn *c);
bool          claims_holds(const struct conn *c);
/* A release that call_queue_close() put off. */
void claims_release(const char *identity, size_t len, unsigned shard,
    uint64_t epoch, unsigned reason);
/* This worker in Redis: "node/slot", and which process of that name. */
const char *claims_owner(void);
const char *claims_incarnation(void);
/* The open connection of an identity on this worker, or NULL. */
struct conn *claims_find(const char *identity, size_t len);

#endif
