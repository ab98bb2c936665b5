/*
 * ship_journey: one journal on its way to Redis.
 *
 *     ask ------> begin ------> advance, again and again
 *      ^  the cursors of all      |
 *      |  shards are known        |
 *      +--------- stop <----------+  after an error
 *
 * The lines of the journal's files are gathered by shard and sent in batches
 * (ship_batch.h). At most a window of bytes is unanswered. What was sent is not
 * kept: after an error the cursors are asked for, and the files are read again
 * from there.
 */
#ifndef WORKER_FLEET_SHIP_JOURNEY_H
#define WORKER_FLEET_SHIP_JOURNEY_H

#include <stdbool.h>
#include <stdint.h>

#include "fleet/ship_hint.h"

struct journal_dir;

/* The state of one journal and one shard's stream. */
struct ship_lane {
    uint64_t cursor; /* last event sent */
    uint64_t acked;  /* last event that Redis has acknowledged */
    uint64_t begin;  /* events up to this number are in Redis already */
};

/* A journal that is being shipped. */
struct ship_journey {
    struct ship_journey *next;
    unsigned             slot;
    bool own;           /* this worker's journal, which is still written */
    bool stirred;       /* there may be more to send: ship_journey_advance()
                           is called in the next turn of the loop */
    bool asking;        /* it waits for the cursors */
    bool going;         /* the cursors are known */
    bool ended;         /* a journal without a worker, all of which is in
                           Redis */
    unsigned round;     /* raised at each restart: answers of earlier
                           rounds are ignored */
    unsigned missing;   /* number of cursors that are not known yet */
    uint32_t failed_ms; /* self.now_ms of the last error */
    bool     failed;    /* it stopped because of an error */
    uint32_t pause_ms;  /* ms from failed_ms to the next try; 0: no
                           error since the last batch arrived */
    struct journal_dir *files;
    uint64_t            read; /* last event taken from the files */
    struct ship_hint    hint; /* the file with the events up to which it is
                                 shipped */
    uint64_t blocked;         /* the event that waits for another slot */
    uint64_t floor;           /* all events below are in Redis; other workers
                                 rely on it */
    uint64_t waiting_ms;      /* while nothing is sent: the time of the oldest
                                 event that is not in Redis, wall clock; 0: none
                                 is known */
    uint64_t damaged;         /* damaged lines of its files that were counted */
    uint32_t window;          /* bytes sent and unanswered */
    struct ship_sent *sent, **sent_last;
    struct ship_lane *lanes; /* by shard */
};

/* The journey of a slot's journal in dir, which must stay valid. It is never
 * freed. NULL without memory, which is logged. */
struct ship_journey *ship_journey_new(const char *dir, unsigned slot, bool own);
/* Asks each shard for the cursor of the journal; once all are known the journey
 * continues. */
void ship_journey_ask(struct ship_journey *j);
/* Reads more lines and sends them, as far as the window allows. True if it
 * stopped at an event that waits for one of another journal. */
bool ship_journey_advance(struct ship_journey *j);
/* Gives up what is not acknowledged. failed: because of an error; the next try
 * begins pause_ms after failed_ms. */
void ship_journey_stop(struct ship_journey *j, bool failed);
/* The number up to which all events are acknowledged. */
uint64_t ship_journey_safe(const struct ship_journey *j);
/* The age in ms of the oldest event of the journal that is durable and not in
 * Redis, at least 1; 0 if there is none. */
uint64_t ship_journey_lag_ms(const struct ship_journey *j);
/* Lets the helper write the hint, if it has changed (ship_hint.h). */
void ship_journey_write_hint(struct ship_journey *j);

#endif
