/*
 * calls: commands, CALLs from the platform to a charge point.
 *
 * Each connection has a short queue, in order, with at most one CALL in flight
 * (OCPP-J 1.6 section 4.1.1). Every command ends in exactly one outcome
 * (outcomes.h, promise P3). A CALL is sent when its event command.sent is
 * durable, so that after a crash of everything the journal shows which commands
 * have no outcome (former.c).
 *
 *     take --> queued --> in flight --> result | error | timeout
 *       |         |            \------> uncertain (connection lost)
 *       |         \-------------------> expired | offline
 *       \-----------------------------> invalid | offline
 */
#ifndef WORKER_SESSION_CALLS_H
#define WORKER_SESSION_CALLS_H

#include "channel.h"
#include "net/conn.h"
#include "ocpp/ocppj.h"

struct queued_call;

/* Handles CHANNEL_call: a new command for the connection msg->conn. body holds
 * commandId (may be empty), identity, action, payload. */
void calls_take(const struct channel_msg *msg, const char *body);

/* Handles CHANNEL_settle: publishes the outcome msg->arg for a command that no
 * worker holds, unless it has an outcome. */
void calls_settle(const struct channel_msg *msg, const char *body);

/* Handles a call from the queue in Redis, which call_queue_pull() has
 * requested. Its outcome goes to call_queue_ended(), which makes the event. */
void calls_take_queued(struct conn *c, struct queued_call *q,
    const char *action, const char *payload, size_t len);

/* Handles a CALLRESULT or CALLERROR of the charge point. */
void calls_answered(
    struct conn *c, const struct ocppj_frame *f, const struct json *tape);

/* Handles a frame that cannot be read. If its beginning shows that it answers
 * the CALL in flight, the command ends with an error; otherwise returns false.
 */
bool calls_spoiled(
    struct conn *c, const struct ocppj_frame *f, const char *text, size_t len);

/* Called when events up to this number are durable: sends the calls whose
 * command.sent is among them. */
void calls_committed(uint64_t number);

/* Sends the next command, if it may be sent now. */
void calls_pump(struct conn *c);

/* Handles deadlines. Called once a second for each connection that has
   commands. */
void calls_tick(struct conn *c);

/* Writes the calls of a connection as lines behind its record, for another
 * process (moving.h), and the outcomes that the journal has not accepted.
 * calls_read() reads one of the lines; c: the connection of the record before
 * it, NULL if that did not arrive. False if the line belongs to another owner.
 */
void calls_write(const struct conn *c, struct buf *out);
void calls_put(struct buf *out);
bool calls_read(struct conn *c, struct fields *f);
/* Called when these calls have moved to another process. */
void calls_forget(struct conn *c);
/* True if a call waits for the commit of its command.sent. */
bool calls_announced(const struct conn *c);

/* Called when the session ends: the call in flight becomes uncertain, the
   others offline. */
void calls_drop(struct conn *c);

#endif
