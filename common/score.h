/*
 * score: the problems of charge points, counted from the journal.
 *
 * A reader (ocppctl, the admin process) goes over the events of a window and
 * counts for each charge point: deviations by kind, violations, answers that
 * came late or never, the ends of connections by reason, the ping time, and
 * how far its clock is off. The gateway keeps no state for it: what a quiet
 * connection costs does not change. One thread at a time for each score.
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

#define SCORE_NAME_MAX 64 /* of a vendor, model or firmware, as it is shown */

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
    bool     clock_known;
    int64_t  clock_ms; /* its clock less that of the gateway */
    double   score;    /* demerits a day and charge point */
};

struct score;

/* Of at most so many charge points; others count together as one without a
 * name. NULL if memory is out. */
struct score *score_new(uint32_t max_points);
void          score_free(struct score *s);

/* Counts an event of the journal; a line of another kind changes nothing. */
void score_add(struct score *s, const struct journal_line *line);

/* Adds all events of a journal's folder between since_ms (wall clock) and the
 * number mark, for at most so many ms (0: no limit); *partial if the time was
 * too short. False with a sentence. */
bool score_read(struct score *s, const char *dir, uint64_t since_ms,
    uint64_t mark, uint64_t patience_ms, bool *partial, struct buf *why);

struct score_view {
    enum score_by by;
    uint32_t      worst;  /* so many rows at most */
    uint32_t      labels; /* Prometheus: groups with a label of their own */
    uint64_t      since_ms, until_ms;
    bool          partial;
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
uint64_t score_events(const struct score *s);
uint32_t score_points(const struct score *s);
/* Is this end of a connection the charge point's or its network's doing? */
bool score_blames(enum close_reason reason);

#endif
