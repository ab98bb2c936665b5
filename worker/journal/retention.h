/*
 * retention: which segments are removed, and when.
 *
 * A worker looks after its own slot; slot 0 also after slots that are no
 * longer there (fewer workers than before). What a reader still wants is
 * kept, whatever its age.
 */
#ifndef WORKER_JOURNAL_RETENTION_H
#define WORKER_JOURNAL_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "journal_line.h"
#include "journal/segment_writer.h"

/* Nothing of the slot that may hold events numbered so or above is removed;
 * UINT64_MAX, where it starts, holds nothing back. Any thread. */
void retention_keep(unsigned slot, uint64_t number);
void retention_keep_nothing(void);

/*
 * The time that ages are counted by. A step of the wall clock counts only
 * after it has lasted for a day: a clock that is a week ahead for a moment
 * would otherwise remove all that is kept. When a worker starts, the newest
 * write to the journal stands for the clock before.
 */
struct retention_clock {
    bool     set;
    int64_t  offset;    /* of the wall clock against the monotonic one, ms */
    int64_t  candidate; /* another one, not believed yet */
    uint64_t since_ms;  /* monotonic: since when; 0: there is none */
};

#define RETENTION_BELIEF_MS ((uint64_t)86400 * 1000)

/* newest_ms: wall clock of the newest write, 0 if there is none; of the first
 * call only. *step_ms: how far a step that was just noticed goes, else 0. */
uint64_t retention_now(struct retention_clock *k, uint64_t wall_ms,
    uint64_t mono_ms, uint64_t newest_ms, int64_t *step_ms);

struct retention_done {
    int64_t  step_ms;                    /* of the clock, just noticed */
    unsigned removed;                    /* segments */
    char     last[JOURNAL_NAME_LEN + 1]; /* the last of them */
};

/* Removes at most `most` segments whose last write is older than age_ms, but
 * never the one t writes. slots: those that exist. Adds to *done; returns
 * how many it removed. */
unsigned retention_run(const struct tail *t, unsigned slots, uint64_t age_ms,
    unsigned most, struct retention_done *done);

#endif
