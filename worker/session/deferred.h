/*
 * deferred: what may leave only when an event is durable (promise P1).
 *
 * A list in order of event numbers (but for answers given twice, which may
 * stand behind later ones and then leave with them): answers for charge
 * points, and outcomes of commands for the master. deferred_release() lets go
 * of them. Whoever is gone by then misses nothing that was promised: the event
 * is there.
 */
#ifndef WORKER_SESSION_DEFERRED_H
#define WORKER_SESSION_DEFERRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"

/* A StartTransaction to be remembered once its event is durable. */
struct deferred_start {
    uint64_t fingerprint[2];
    int32_t  transaction_id;
};

/* A frame for c. since_us: when its CALL arrived. start may be NULL. False
 * if memory is out: the answer is not sent, and the charge point asks again. */
bool deferred_answer(uint64_t number, struct conn *c, const char *text,
    size_t len, uint64_t since_us, const struct deferred_start *start);

/* A StartTransaction of this entry whose event is not durable yet: its id in
 * *transaction_id, its event's number returned. 0 if there is none. */
uint64_t deferred_start_find(
    uint32_t entry, const uint64_t fingerprint[2], int32_t *transaction_id);

/* The outcome of a command, for the master's request. */
bool deferred_done(uint64_t number, uint64_t request, unsigned outcome,
    const char *body, size_t len);

/* Events up to this number are durable. */
void deferred_release(uint64_t number);

/* A CALL of c was taken and is not answered yet; and its answer was sent, or
 * will not be. At UNANSWERED_MAX the connection is not read, so that the
 * number stays small whatever the charge point sends. */
#define UNANSWERED_MAX 16
void deferred_begin(struct conn *c);
void deferred_end(struct conn *c);

#endif
