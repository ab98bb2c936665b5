/*
 * registry_starts: the last StartTransactions and StopTransactions (1.6) or
 * TransactionEvents (2.x) of each identity, with their answers, in shared
 * memory. Each of these messages is called a start in this file.
 *
 * A charge point sends a start again if it got no answer. The repetition gets
 * the same answer and makes no second event, on whatever worker it arrives. A
 * start is recognised by its fingerprint, and goes through these states:
 *
 *     UNKNOWN --> ASKED --> DRAFT --> KNOWN --> (stopped: UNKNOWN)
 *         \_________________^
 *
 *   ASKED   the worker of `slot` has asked the platform; `number` was drawn
 *           from shm.sequence for the question
 *   DRAFT   the worker of `slot` writes the event `number`, which holds
 *           `answer`. The event may become durable or be lost with its worker
 *   KNOWN   the event is durable, and `answer` may be sent again
 *
 * REGISTRY_STARTS of them are kept for an identity: those with the highest
 * event numbers. The near table holds REGISTRY_STARTS_NEAR of them. An identity
 * whose near table is full, as those of 2.x charge points usually are, gets a
 * block (registry_blocks.h) for the others. It gives the block back when no
 * start has come for some time: registry_starts_tidy() keeps the newest starts,
 * as many as the near table holds. A StopTransaction replaces an older one if
 * the near table is full.
 *
 * When the event of a StopTransaction is durable, the StartTransaction with its
 * transaction id is forgotten: an equal one that arrives later is a new
 * transaction. When the event of a later StartTransaction with the same
 * transaction id is durable, the StopTransaction is forgotten.
 *
 * An answer that is only a number (registry_answer.h) is stored in the three
 * words of the start. Any other is stored as text in a table of its own, which
 * occupies no memory until it is used.
 *
 * The owner of the entry writes without a lock, and a former owner may still
 * write at the same time. The first word holds a checksum of everything else,
 * so a start that two processes have written at once, or one that a process
 * has left half written when it died, matches no fingerprint and counts as
 * UNKNOWN. Recovery takes the registry's lock, because all workers read their
 * journals at the same time.
 */
#ifndef COMMON_REGISTRY_STARTS_H
#define COMMON_REGISTRY_STARTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "fields.h"
#include "registry_answer.h"

struct registry;

/* With a block, the last near place refers to it. */
#define REGISTRY_STARTS_NEAR 4
#define REGISTRY_STARTS_FAR 17
#define REGISTRY_STARTS (REGISTRY_STARTS_NEAR - 1 + REGISTRY_STARTS_FAR)
#define REGISTRY_STARTS_FORMAT 4 /* raised when the words change their form */

/* What kind of message a start is. */
enum registry_start_kind {
    REGISTRY_START,     /* StartTransaction or TransactionEvent */
    REGISTRY_START_STOP /* StopTransaction */
};

/* word[0]: check and fingerprint, word[1]: fingerprint, form of the answer and
 * transaction id, word[2]: kind, slot and number. */
struct registry_starts {
    _Atomic uint64_t word[REGISTRY_STARTS_NEAR][3];
};

struct registry_text {
    uint16_t len;
    char     text[REGISTRY_ANSWER_MAX];
};

struct registry_answers {
    struct registry_text of[REGISTRY_STARTS_NEAR];
};

enum registry_start_state {
    REGISTRY_START_UNKNOWN,
    REGISTRY_START_ASKED,
    REGISTRY_START_DRAFT,
    REGISTRY_START_KNOWN
};

struct registry_start {
    enum registry_start_state state;
    unsigned                  slot;
    uint64_t                  number;
    size_t                    len; /* of answer; DRAFT and KNOWN */
    char                      answer[REGISTRY_ANSWER_MAX];
};

/* Looks for the start with the fingerprint fp: two words, not both zero.
 * Returns out->state, UNKNOWN if there is none. */
enum registry_start_state registry_start_find(struct registry *r,
    uint32_t entry, const uint64_t fp[2], struct registry_start *out);

/* These three enter a start in the state ASKED, DRAFT or KNOWN. slot: below
 * 256. id: the transaction id, of any value: that in the answer to a
 * StartTransaction, or that of a StopTransaction. If the answer is longer than
 * REGISTRY_ANSWER_MAX, the start is forgotten. */
void registry_start_ask(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], unsigned slot,
    uint64_t number);
void registry_start_draft(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], unsigned slot,
    uint64_t number, int32_t id, const char *answer, size_t len);
void registry_start_know(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], uint64_t number,
    int32_t id, const char *answer, size_t len);

/* Forgets the start if it is ASKED or DRAFT with this number. */
void registry_start_drop(
    struct registry *r, uint32_t entry, const uint64_t fp[2], uint64_t number);

/* Called when the event `number`, a StopTransaction with transaction id `id`,
 * is durable. Forgets the StartTransactions of that id that have lower event
 * numbers. */
void registry_start_stop(
    struct registry *r, uint32_t entry, int32_t id, uint64_t number);

/*
 * The same as registry_start_know() and registry_start_stop(), for events that
 * recovery reads from a journal. add is true when the daemon starts: then every
 * event counts, and they may be read in any order. Otherwise only the drafts of
 * a dead worker become KNOWN.
 */
void registry_start_recover(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], uint64_t number,
    int32_t id, const char *answer, size_t len, bool add);
void registry_start_recover_stop(
    struct registry *r, uint32_t entry, int32_t id, uint64_t number, bool add);

/* Write the starts of an entry as part of a record (fields.h), and read them
 * into an entry of another segment, where they replace the existing ones. The
 * form that a start has only during recovery is not written. */
void registry_starts_write(struct registry *r, uint32_t entry, struct buf *out);
void registry_starts_read(struct registry *r, uint32_t entry, struct fields *f);

/* Gives back the blocks of pages `page` to `end` whose identity got no start
 * for `window` seconds. now: seconds of a clock that all processes share, not
 * 0. slot: of the caller, which must be a worker: it looks at the identities
 * that it owns, and at its part of those without an owner. */
void registry_starts_tidy(struct registry *r, uint32_t page, uint32_t end,
    unsigned slot, unsigned slots, uint32_t now, uint32_t window);
/* The number of pages of blocks that have been in use so far. */
uint32_t registry_starts_pages(struct registry *r);

/* Forgets all starts: the entry is given to another identity. */
void registry_starts_clear(struct registry *r, uint32_t entry);

#endif
