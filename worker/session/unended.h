/*
 * unended: the sessions that journals leave without an end.
 *
 * A session begins with the event `connected` and ends with `disconnected`. All
 * of its events have its generation, which a claim in Redis may raise
 * (claims.h); an event that another worker makes of its end may have the first
 * one. So a session has a range of generations, up to the beginning of the next
 * session of the same charge point. A connection may move to another worker
 * (rebalance): then the beginning, the rest and the end may be in three
 * journals, of which only those of one worker are in order.
 *
 * The journal of this slot is read first, then the others. A session is kept
 * here if the last of its events is in the journal of this slot, and is not
 * `disconnected`.
 */
#ifndef WORKER_SESSION_UNENDED_H
#define WORKER_SESSION_UNENDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unended {
    struct unended *next;
    uint64_t        key;   /* hash of the identity as JSON */
    uint64_t        begin; /* generation of `connected`, 0 if it is unknown */
    /* The lowest and the highest generation of its events in this journal. */
    uint64_t first, high;
    uint64_t last;       /* number of its last event in this journal */
    uint64_t last_below; /* the same, of those with a generation below `high` */
    /* What the journals of other slots have, 0 if nothing: the lowest
     * generation of the next session, the highest generation of an end that is
     * below `first`, and the generations of ends and of later events. */
    uint64_t later, ended_below;
    struct unended_range {
        uint64_t low, high;
    } ended_at, moved_at;
    uint64_t owned; /* for former.c: the generation of its registry entry */
    bool     ended; /* an end was seen in this journal. The session is kept,
                       because an answer of the platform may come after it */
    size_t len;
    char   line[]; /* its first event in this journal, without the payload */
};

/* One line of this slot's journal with its event number, oldest first. */
void unended_own(uint64_t number, const char *line, size_t len);
/* One line of another slot's journal, after those of this slot. */
void unended_other(uint64_t number, const char *line, size_t len);
/* After all lines: forgets the sessions that have ended or moved. */
void unended_settle(void);
/* The number of sessions without an end. */
unsigned unended_count(void);
/* True if the session can be the one that began with this generation and is the
 * newest of its charge point. */
bool unended_is_newest(const struct unended *u, uint64_t generation);

/* The newest session of the identity (JSON), also one that has ended, if it may
 * be the one that began with this generation; NULL if there is none. */
struct unended *unended_find(
    const char *identity, size_t len, uint64_t generation);
/* Calls what() for each session, also those that have ended. */
enum unended_next {
    UNENDED_KEEP,
    UNENDED_FORGET, /* and continue */
    UNENDED_STOP    /* keep it and the others */
};
void unended_each(enum unended_next (*what)(struct unended *u));
/* It has an end now; it is still found. */
void unended_end(struct unended *u);
/* Removes and frees it. */
void unended_forget(struct unended *u);

#endif
