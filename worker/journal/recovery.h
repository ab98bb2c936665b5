/*
 * recovery: what a worker does with the journal it finds.
 *
 * A segment ends where the former writer was interrupted: by a kill, in the
 * middle of a line; by a power cut, also with pages that were never
 * written. Everything that was ever acknowledged stands before that, in
 * whole lines. So the newest segment of the slot is cut behind its last
 * whole line; what stays is made durable before it is relied on (a
 * killed process may have left it in the page cache only).
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
    uint64_t last_any; /* of all slots */
    uint64_t lines;    /* handed to the function below */
    uint64_t bad;      /* damaged lines, left out */
    uint64_t cut;      /* bytes cut off */
};

typedef void recovery_fn(
    void *ctx, uint64_t number, const char *line, size_t len);

/* dir: path, for messages. Reads the last max bytes of the slot's segments
 * (but
 * at least what it takes to find the last event; line may be NULL). Logs what
 * it cuts. False: why says what file cannot be read or cut, and what to do. */
bool recovery_run(int dir_fd, const char *dir, unsigned slot, uint64_t max,
    recovery_fn *line, void *ctx, struct recovery *r, struct buf *why);

/* Reads also the journals of slots that have no worker any more, because
 * server.workers became smaller: of those from `slots` on, every slots-th
 * belongs to this one. Nothing is cut or synced, and what cannot be read is
 * logged and left out. Raises r->last_any. */
void recovery_orphans(int dir_fd, const char *dir, unsigned slot,
    unsigned slots, uint64_t max, recovery_fn *line, void *ctx,
    struct recovery *r);

/* Reads the journals of the slots below `slots` but this one, in the same way:
 * what began in this slot may have ended in theirs. */
void recovery_neighbours(int dir_fd, const char *dir, unsigned slot,
    unsigned slots, uint64_t max, recovery_fn *line, void *ctx,
    struct recovery *r);

/* Reads the slot's journal, in the same way, while it is being written. */
void recovery_own(int dir_fd, const char *dir, unsigned slot, uint64_t max,
    recovery_fn *line, void *ctx, struct recovery *r);

#endif
