/*
 * outcomes: how commands end.
 *
 * Every command ends in exactly one outcome of outcome.def (promise P3). For a
 * command of the master the event command.response is appended here, and when
 * it is durable, the outcome goes to the master. For a call of the queue in
 * Redis the event is made there, together with its outcome (call_queue.h).
 *
 * An event that the journal does not take is parked; the later ones wait
 * behind it, so that outcomes are published in their order.
 *
 * After a crash of a worker the master has the outcomes of its commands
 * settled by another process of the slot, which knows from its recovery the
 * commands whose outcome is in the journal already. A process that took over
 * the commands of another one has some of them still, and knows which of them
 * have ended.
 */
#ifndef WORKER_SESSION_OUTCOMES_H
#define WORKER_SESSION_OUTCOMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "fields.h"
#include "ocpp/ocppj.h"
#include "stats.h"

struct call;

/* Ends a call that is in no queue any more, and frees it once its event is
 * appended. payload: of the CALLRESULT. code, description, details: of the
 * CALLERROR, or of the gateway. All of them are JSON except code; p is NULL
 * for what there is not. */
void outcomes_finish(struct call *k, enum outcome outcome,
    struct ocppj_span payload, struct ocppj_span code,
    struct ocppj_span description, struct ocppj_span details);
/* The same without a payload; code may be NULL, why is plain text. */
void outcomes_finish_plain(
    struct call *k, enum outcome outcome, const char *code, const char *why);

/* CHANNEL_settle: publishes outcome msg->arg for a command that no worker
 * holds, unless the journal has an outcome of it. */
void outcomes_settle(const struct channel_msg *msg, const char *body);

/* Once a second: outcomes that the journal did not take are tried again, and
 * what ended a minute ago is forgotten. */
void outcomes_tick(void);
/* Only the former, before the process ends. True while some wait. */
bool outcomes_retry(void);

/* The oldest outcome that the journal did not take, NULL if there is none; and
 * one that has come from another process behind all the others. */
struct call *outcomes_parked(void);
void         outcomes_park(struct call *k);

/* One line of the journal at recovery: remembers whose outcome is there. */
void outcomes_recover(const char *line, size_t len);
/* The command whose id, as JSON, has this hash ended with an event that was
 * made from the journal. */
void outcomes_recovered(uint64_t id_hash);
/* Forgets what recovery found; a while after the start. */
void outcomes_forget_recovered(void);

/* What has ended lately, as lines for the process that takes over this slot.
 * outcomes_read() takes one of them; false if the line is another owner's. */
void outcomes_write(struct buf *out);
bool outcomes_read(struct fields *f);

#endif
