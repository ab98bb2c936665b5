/*
 * retention: which segments go, and when.
 *
 * A worker looks after its own slot; slot 0 also after slots that are no
 * longer there (fewer workers than before). What a reader still wants is
 * kept, whatever its age.
 */
#ifndef WORKER_JOURNAL_RETENTION_H
#define WORKER_JOURNAL_RETENTION_H

#include <stdint.h>

#include "journal_line.h"
#include "journal/segment_writer.h"

/* Nothing of the slot that may hold events numbered so or above is removed;
 * UINT64_MAX, where it starts, holds nothing back. Any thread. */
void retention_keep(unsigned slot, uint64_t number);
void retention_keep_nothing(void);

struct retention_done {
    unsigned removed;                    /* segments */
    char     last[JOURNAL_NAME_LEN + 1]; /* the last of them */
};

/* Removes at most `most` segments whose last write is older than age_ms, but
 * never the one t writes. slots: those that exist. Adds to *done; returns
 * how many it removed. */
unsigned retention_run(const struct tail *t, unsigned slots, uint64_t age_ms,
    unsigned most, struct retention_done *done);

#endif
