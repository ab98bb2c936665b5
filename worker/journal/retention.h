/*
 * retention: removes segments that are older than journal.retention.
 *
 * A worker removes segments of its slot; slot 0 also those of slots that no
 * longer exist (fewer workers than before). A segment that a reader still needs
 * is kept, whatever its age.
 */
#ifndef WORKER_JOURNAL_RETENTION_H
#define WORKER_JOURNAL_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/segment_writer.h"
#include "journal_line.h"

/* From now on no segment of the slot is removed that may hold an event with
 * this number or a higher one. UINT64_MAX, the initial value, keeps no segment.
 * Any thread. */
void retention_keep(unsigned slot, uint64_t number);
/* Sets the initial value for all slots. */
void retention_keep_nothing(void);

/*
 * The clock by which the age of segments is measured. A step of the wall clock
 * is followed only after it has lasted for a day: otherwise a clock that is a
 * week ahead for a moment would remove the whole journal. When a worker starts,
 * the time of the newest write to the journal is used as the former clock.
 */
struct retention_clock {
    bool     set;
    int64_t  offset;    /* wall clock minus monotonic clock, ms */
    int64_t  candidate; /* a different offset that is not followed yet */
    uint64_t since_ms;  /* since when there is a candidate, monotonic; 0: there
                           is none */
};

#define RETENTION_BELIEF_MS ((uint64_t)86400 * 1000)

/* newest_ms: wall clock of the newest write, 0 if there is none; used in the
 * first call only. *step_ms: size of a step that was just noticed, else 0. */
uint64_t retention_now(struct retention_clock *k, uint64_t wall_ms,
    uint64_t mono_ms, uint64_t newest_ms, int64_t *step_ms);

struct retention_done {
    int64_t step_ms;                     /* a step of the clock that was just
                                            noticed */
    unsigned removed;                    /* number of removed segments */
    char     last[JOURNAL_NAME_LEN + 1]; /* name of the last one */
};

/* Removes at most `most` segments whose last write is older than age_ms, but
 * never the one that t writes. slots: number of worker slots. Adds to *done;
 * returns the number of removed segments. */
unsigned retention_run(const struct tail *t, unsigned slots, uint64_t age_ms,
    unsigned most, struct retention_done *done);

#endif
