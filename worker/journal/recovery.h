/*
 * recovery: reads back and repairs the journal that a slot's former worker has
 * left.
 *
 * A segment ends where its writer was interrupted: after a kill in the middle
 * of a line; after a power cut possibly with pages that were never written. All
 * acknowledged events are before that, in whole lines. So the newest segment of
 * the slot is cut behind its last whole line. The rest is made durable before
 * it is used, because after a kill it may be in the page cache only.
 */
#ifndef WORKER_JOURNAL_RECOVERY_H
#define WORKER_JOURNAL_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "journal_line.h"

struct recovery {
    uint64_t last;     /* highest event number of the slot, 0 if none */
    uint64_t last_any; /* highest event number of all slots */
    uint64_t lines;    /* events passed to the function below */
    uint64_t bad;      /* damaged lines that were skipped */
    uint64_t cut;      /* bytes cut off */
};

typedef void recovery_fn(
    void *ctx, uint64_t number, const char *line, size_t len);

/* Reads the last max bytes of the slot's segments, but at least as much as is
 * needed to find the last event. dir: path for messages. line: called for each
 * event; may be NULL. Logs each cut. False if a file cannot be read or cut; why
 * has the file and the remedy. */
bool recovery_run(int dir_fd, const char *dir, unsigned slot, uint64_t max,
    recovery_fn *line, void *ctx, struct recovery *r, struct buf *why);

/* Reads also the journals of slots that have no worker any more, because
 * server.workers was reduced. Of the slots from `slots` on, every slots-th is
 * read by this worker. No file is cut or synced; one that cannot be read is
 * logged and skipped. Raises r->last_any. */
void recovery_orphans(int dir_fd, const char *dir, unsigned slot,
    unsigned slots, uint64_t max, recovery_fn *line, void *ctx,
    struct recovery *r);

/* Reads the journals of the other slots below `slots` in the same way: sessions
 * and commands that began in this slot may have ended in those. */
void recovery_neighbours(int dir_fd, const char *dir, unsigned slot,
    unsigned slots, uint64_t max, recovery_fn *line, void *ctx,
    struct recovery *r);

/* Reads the slot's journal, in the same way, while it is being written. */
void recovery_own(int dir_fd, const char *dir, unsigned slot, uint64_t max,
    recovery_fn *line, void *ctx, struct recovery *r);

#endif
