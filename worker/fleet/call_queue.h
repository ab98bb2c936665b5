/*
 * call_queue: commands from the queues in Redis, one at a time for each charge
 * point.
 *
 *     wait --take--> TAKING --> session --> ended --finish--> Redis has it
 *                       \--> nothing waits              \--> reported again
 *
 * A command is taken, which marks it as sent, only when it can go out at
 * once; whether it can, the session decides (up_calls_wait). Its outcome is
 * made by ocppd_finish, in one step with its event; it is kept here until Redis
 * has answered, and repeated with the same eventId for some seconds after that,
 * should the server come back without its memory of them.
 */
#ifndef WORKER_FLEET_CALL_QUEUE_H
#define WORKER_FLEET_CALL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fleet/claims.h"
#include "stats.h"

struct queued_call;

/* Redis reports that calls wait for c: up_calls_wait() follows. */
void call_queue_wake(struct conn *c);
/* Asks Redis for the next call, if one waits. To be called only when it can
 * be sent at once, since Redis counts it as sent from then on.
 * up_call_taken() follows, or nothing. */
void call_queue_pull(struct conn *c);
/* The command in hand, "" if there is none: for the claim. */
const char *call_queue_held(const struct claim *claim);
/* The session ends. True: its release waits for the answer to a take, and
 * claims_release() follows. */
bool call_queue_close(struct claim *claim, unsigned reason);
/* The call of up_call_taken() ended; o is given back. detail: the member that
 * goes with the outcome, "payload":{...} or "error":{...}, or empty.
 * message_id: of the CALL. */
void call_queue_ended(struct queued_call *o, enum outcome outcome,
    const char *detail, size_t len, uint32_t duration_ms,
    const char *message_id);
/* The commandId. */
const char *call_queue_id(const struct queued_call *o);

/* A call that is in flight moves with its connection: its part of the call's
 * record, and the call made of it; NULL without memory. */
void call_queue_write(const struct queued_call *o, struct buf *to);
struct queued_call *call_queue_read(struct conn *c, struct fields *f,
    const char *command_id, const char *action);

/* Outcomes that Redis does not have yet, for the process that inherits the
 * slot. */
void call_queue_put(struct buf *to);
bool call_queue_take(struct fields *f);

/* The shard can be used: outcomes that it may not have are sent first. */
void call_queue_ready(unsigned shard, bool new_server);
/* Once a second. */
void call_queue_tick(void);
/* Some outcome is not reported to Redis yet. */
bool call_queue_busy(void);

#endif
