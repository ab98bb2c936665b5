/*
 * registry_starts: the last StartTransactions and StopTransactions (1.6) or
 * TransactionEvents (2.x) of each identity and how they were answered, in
 * shared memory.
 *
 * One that is sent again gets the same answer and makes no second event, on
 * whatever worker it arrives. It is recognised by its fingerprint and goes
 * through these states; all of them are called starts here:
 *
 *     UNKNOWN --> ASKED --> DRAFT --> KNOWN --> (stopped: UNKNOWN)
 *         \_________________^
 *
 *   ASKED   the worker of `slot` has asked the platform; `number` was drawn
 *           from shm.sequence for the question
 *   DRAFT   the worker of `slot` writes the event `number`, which holds
 *           `answer`. The event may become durable or be lost with its worker
 *   KNOWN   the event is durable, `answer` may be given again
 *
 * REGISTRY_STARTS of them are kept for an identity, the newest by the number
 * of the event. The first REGISTRY_STARTS_NEAR lie in a table of their own;
 * the other one occupies memory only for identities that fill the first, as
 * charge points of 2.x do. A StopTransaction never goes there: if the near
 * table is full, it takes the place of an older one. A start is forgotten when
 * the event of its StopTransaction is durable: an equal one is a new
 * transaction then. A StopTransaction is forgotten when the event of a later
 * start with the same transaction id is durable.
 *
 * An answer that is a number (registry_answer.h) takes no memory beside its
 * three words. The text of any other is kept in a second table, which occupies
 * no memory as long as it is not used.
 *
 * Only the owner of the entry writes, without a lock; a former owner may
 * still write at the same time. The first word depends on everything else of
 * the start, so a start that was written by two processes, or by one that
 * died in between, matches no fingerprint and counts as UNKNOWN. Recovery
 * takes the registry's lock, because the workers read their journals at the
 * same time.
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

#define REGISTRY_STARTS_NEAR 4
#define REGISTRY_STARTS_FAR 16
#define REGISTRY_STARTS (REGISTRY_STARTS_NEAR + REGISTRY_STARTS_FAR)
#define REGISTRY_STARTS_FORMAT 3 /* another number: the words have changed */

/* What is remembered. */
enum registry_start_kind {
    REGISTRY_START,     /* StartTransaction or TransactionEvent */
    REGISTRY_START_STOP /* StopTransaction */
};

/* word[0]: check and fingerprint, word[1]: fingerprint, form of the answer and
 * transaction id, word[2]: kind, slot and number. */
struct registry_starts {
    _Atomic uint64_t word[REGISTRY_STARTS_NEAR][3];
};

struct registry_far_starts {
    _Atomic uint64_t word[REGISTRY_STARTS_FAR][3];
};

struct registry_answers {
    struct {
        uint16_t len;
        char     text[REGISTRY_ANSWER_MAX];
    } of[REGISTRY_STARTS];
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

/* fp: a fingerprint of two words, not both zero. Returns out->state. */
enum registry_start_state registry_start_find(struct registry *r,
    uint32_t entry, const uint64_t fp[2], struct registry_start *out);

/* slot: below 256. id: the transaction id in the answer to a start, or in a
 * StopTransaction, of any value. An answer that is longer than
 * REGISTRY_ANSWER_MAX is not kept, and the start is forgotten. */
void registry_start_ask(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], unsigned slot,
    uint64_t number);
void registry_start_draft(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], unsigned slot,
    uint64_t number, int32_t id, const char *answer, size_t len);
void registry_start_know(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], uint64_t number,
    int32_t id, const char *answer, size_t len);

/* Forgets a start that is ASKED or DRAFT with this number. */
void registry_start_drop(
    struct registry *r, uint32_t entry, const uint64_t fp[2], uint64_t number);

/* The event `number`, a StopTransaction of transaction id, is durable: starts
 * of that id and of earlier events are forgotten. */
void registry_start_stop(
    struct registry *r, uint32_t entry, int32_t id, uint64_t number);

/*
 * The same two for what recovery reads from a journal. With add (the daemon
 * starts) every start and stop counts, in whatever order they are read;
 * otherwise only the drafts of a worker that died are confirmed.
 */
void registry_start_recover(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], uint64_t number,
    int32_t id, const char *answer, size_t len, bool add);
void registry_start_recover_stop(
    struct registry *r, uint32_t entry, int32_t id, uint64_t number, bool add);

/* As part of a record (fields.h), and back into an entry of another segment;
 * it replaces what the entry has. Starts of the form that only recovery uses
 * are left out. */
void registry_starts_write(struct registry *r, uint32_t entry, struct buf *out);
void registry_starts_read(struct registry *r, uint32_t entry, struct fields *f);

/* The entry is given to another identity. */
void registry_starts_clear(struct registry *r, uint32_t entry);

#endif
