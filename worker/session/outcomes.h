/*
 * outcomes: how commands end.
 *
 * Every command ends in exactly one outcome of outcome.def (promise P3). For a
 * command of the master the event command.response is appended here, and when
 * it is durable, the outcome goes to the master. For a call of the queue in
 * Redis the event is made there, together with its outcome (call_queue.h).
 *
 * An event that the journal does not accept is parked. Later ones wait behind
 * it, so that outcomes are published in order.
 *
 * After a crash of a worker the master asks the next process of the slot to
 * settle the open commands. That process has read the journal back, so it does
 * not publish an outcome twice. A process that took over the commands of
 * another one may still hold some of them, and remembers those that have ended.
 */
#ifndef WORKER_SESSION_OUTCOMES_H
#define WORKER_SESSION_OUTCOMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fields.h"
#include "ocpp/ocppj.h"
#include "stats.h"

struct call;

/* Ends a call that is in no queue any more, and frees it when its event is
 * appended. payload: that of the CALLRESULT. code, description, details: those
 * of the CALLERROR, or of the gateway. All except code are JSON; p is NULL for
 * a missing one. */
void outcomes_finish(struct call *k, enum outcome outcome,
    struct ocppj_span payload, struct ocppj_span code,
    struct ocppj_span description, struct ocppj_span details);
/* The same without a payload; code may be NULL, why is plain text. */
void outcomes_finish_plain(
    struct call *k, enum outcome outcome, const char *code, const char *why);

/* True if the request of the master, or its command in the journal, has an
 * outcome already. The master gets the outcome again, as {} without its
 * details, unless the command is in flight. */
bool outcomes_repeat(uint64_t request, const char *command_id);

/* Called once a second: tries outcomes again that the journal has not accepted,
 * and forgets requests that ended a minute ago. */
void outcomes_tick(void);
/* Only tries the parked outcomes again, before the process ends. True while
   some are left. */
bool outcomes_retry(void);

/* outcomes_parked(): the oldest outcome that the journal has not accepted; NULL
 * if there is none. outcomes_park(): adds one of another process behind all
 * others. */
struct call *outcomes_parked(void);
void         outcomes_park(struct call *k);

/* Writes the requests that have ended lately, as lines for the process that
 * takes over this slot. outcomes_read() reads one of them; false if the line
 * belongs to another owner. */
void outcomes_write(struct buf *out);
bool outcomes_read(struct fields *f);

#endif
