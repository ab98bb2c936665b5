/*
 * score: the problems of charge points, counted from the journal.
 *
 * A reader (ocppctl, the admin process) reads the events of a window and counts
 * for each charge point: deviations by kind, violations, answers that came late
 * or never, the ends of connections by reason, the ping time, and the error of
 * its clock. The gateway keeps no state for it, so a quiet connection needs no
 * memory for it. One thread at a time for each score.
 */
#ifndef COMMON_SCORE_H
#define COMMON_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "close.h"
#include "deviation.h"
#include "journal_line.h"

#define SCORE_NAME_MAX 64 /* bytes of a vendor, model or firmware */

enum score_by { SCORE_POINT, SCORE_VENDOR, SCORE_MODEL, SCORE_FIRMWARE };
extern const char *const score_by_name[4]; /* identity, vendor, ... */

/* A charge point, or a group of them. */
struct score_row {
    char     name[4 * SCORE_NAME_MAX];
    char     of[4][SCORE_NAME_MAX]; /* by enum score_by; [0] unused */
    uint64_t hash;
    uint32_t points; /* charge points in it */
    uint32_t events;
    uint32_t deviations[DEVIATIONS];
    uint32_t ends[CLOSE_REASONS];
    uint32_t violations, late, missing;
    uint32_t pings, ping_max_ms;
    uint64_t ping_sum_ms;
    bool     clock_known; /* clock_ms is set */
    int64_t  clock_ms;    /* its clock minus the gateway's clock */
    double   score;       /* demerits per day and charge point */
};

struct score;

/* Makes a score of at most max_points charge points; further ones count
 * together, without a name. NULL if memory is out. */
struct score *score_new(uint32_t max_points);
void          score_free(struct score *s);

/* Counts an event of the journal; lines of other kinds are ignored. */
void score_add(struct score *s, const struct journal_line *line);

/* Adds all events of a journal's directory between since_ms (wall clock) and
 * the number `mark`, for at most that many ms (0: no limit). *partial is true
 * if the time was too short: then the newest events are missing. False with a
 * sentence in why if the directory cannot be read. */
bool score_read(struct score *s, const char *dir, uint64_t since_ms,
    uint64_t mark, uint64_t patience_ms, bool *partial, struct buf *why);

struct score_view {
    enum score_by by;
    uint32_t      worst;  /* the most rows */
    uint32_t      labels; /* Prometheus: groups with a label of their own */
    uint64_t      since_ms, until_ms; /* the window, wall clock */
    bool          partial;            /* of score_read() */
};

/* The worst rows first. Prometheus: beyond `labels` groups the rest is `other`;
 * by charge point there is no such text. */
void score_put_text(struct score *s, const struct score_view *v, struct buf *);
void score_put_json(struct score *s, const struct score_view *v, struct buf *);
void score_put_prometheus(
    struct score *s, const struct score_view *v, struct buf *);

/* For score_put.c: the rows of a view, worst first; *n of them, in memory that
 * the next call and score_free() release. */
const struct score_row *score_rows(
    struct score *s, const struct score_view *v, size_t *n);
/* The events and the charge points that were counted so far. */
uint64_t score_events(const struct score *s);
uint32_t score_points(const struct score *s);
/* True if this end of a connection is caused by the charge point or its
   network. */
bool score_blames(enum close_reason reason);

#endif
