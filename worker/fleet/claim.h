/*
 * claim: whether the session of a connection is claimed in Redis, and with
 * which epoch.
 */
#ifndef WORKER_FLEET_CLAIM_H
#define WORKER_FLEET_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "net/conn.h"

struct queued_call;

enum claim_flag {
    CLAIM_ASKED = 1,   /* a claim is in progress */
    CLAIM_HELD = 2,    /* claimed, in the shard's current round */
    CLAIM_WAITING = 4, /* commands wait in its queue, as far as is known */
    CLAIM_LATE = 8, /* Redis has an in-flight command that this worker does not
                       have: claim again */
    CLAIM_ARRIVING = 16 /* the lines of its calls are not read yet: do not
                           claim */
};

/* The state in Redis of one connection, in a table by index of the
   connection. */
struct claim {
    cref                conn;       /* the connection */
    uint64_t            generation; /* generation with which it was claimed */
    uint64_t            epoch;      /* epoch that was granted */
    struct queued_call *order;      /* call_queue.c: the call that is being
                                       taken, in flight, or has ended and is
                                       not reported */
    uint32_t round;                 /* round of the shard when it was claimed */
    uint32_t err;                   /* greatest error of the generation as a
                                       time, us */
    uint16_t shard;
    uint8_t  flags; /* enum claim_flag */
};

/* Makes the table for that many connections. False without memory. */
bool claim_table_open(uint32_t capacity);
/* The place of a connection in the table, which may still hold the claim of a
 * former one. Only with [redis]. */
struct claim *claim_place(const struct conn *c);
/* The claim of an open connection; NULL if it has none yet, or without
   [redis]. */
struct claim *claim_of(const struct conn *c);
/* True if Redis has granted the claim, and can be used. */
bool claim_holds(const struct conn *c);
/* True if Redis has granted the claim and no other claim is in progress, so its
 * epoch is that of Redis. */
bool claim_is_settled(const struct claim *claim);
/* True if the part of fleet/ is quiet: no claim is in progress, and no call
 * from the queue in Redis is being taken or in flight. */
bool claim_is_quiet(const struct conn *c);

/* The open connection of an identity on this worker, or NULL. */
struct conn *claim_find_conn(const char *identity, size_t len);

#endif
