/*
 * call_queue: commands from the queues in Redis, one at a time for each charge
 * point.
 *
 *     wait --take--> TAKING --> session --> ended --finish--> Redis has it
 *                       \--> nothing waits              \--> reported again
 *
 * Taking a command marks it as sent, so it is taken only when it can be sent at
 * once, which the session decides (up_calls_wait). ocppd_finish makes its
 * outcome and its event in one step. The outcome is kept here until Redis has
 * answered, and for some seconds after that: if Redis has lost it in a crash,
 * it is repeated with the same eventId. The next command is taken when Redis
 * has answered, so that each claim can name the one command that was sent.
 */
#ifndef WORKER_FLEET_CALL_QUEUE_H
#define WORKER_FLEET_CALL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fleet/claim.h"
#include "stats.h"

struct queued_call;

/* Called when Redis reports that calls wait for c; up_calls_wait() follows. */
void call_queue_wake(struct conn *c);
/* Takes the next call from Redis, if one waits. Called only if it can be sent
 * at once, because Redis counts it as sent from then on. up_call_taken()
 * follows, or nothing. */
void call_queue_pull(struct conn *c);
/* The id of the command that was taken and whose outcome Redis does not have,
   "" if there is none. For the claim. */
const char *call_queue_held(const struct claim *claim);
/* True if it has an outcome, which Redis does not have. */
bool call_queue_has_ended(const struct claim *claim);
/* Called when the session ends. True if its release must wait for the answer to
 * a take; then the session is released with that answer. */
bool call_queue_close(struct claim *claim, unsigned reason);
/* Called when the call of up_call_taken() has an outcome; takes o back. detail:
 * the member beside the outcome, "payload":{...} or "error":{...}, or empty.
 * message_id: that of the CALL. */
void call_queue_ended(struct queued_call *o, enum outcome outcome,
    const char *detail, size_t len, uint32_t duration_ms,
    const char *message_id);
/* The commandId; valid as long as o. */
const char *call_queue_id(const struct queued_call *o);

/* For a call in flight that moves with its connection: call_queue_write()
 * writes its part of the call's record; call_queue_read() makes the call from
 * it, NULL if memory is out or the connection has no claim. */
void call_queue_write(const struct queued_call *o, struct buf *to);
struct queued_call *call_queue_read(struct conn *c, struct fields *f,
    const char *command_id, const char *action);

/* Called for a connection that has moved with a command that has ended: finds
 * the command among the outcomes of call_queue_take(). epoch: of its claim. */
void call_queue_claim_again(struct conn *c, uint64_t epoch);

/* Writes the outcomes that Redis does not have yet, for the process that
 * inherits the slot. call_queue_take() reads a line of them; false if the line
 * is not one. */
void call_queue_put(struct buf *to);
bool call_queue_take(struct fields *f);

/* Called when the shard can be used: sends outcomes that it may lack. */
void call_queue_ready(unsigned shard, bool new_server);
/* Called once a second. */
void call_queue_tick(void);
/* True if some outcome is not reported to Redis yet. */
bool call_queue_busy(void);

#endif
