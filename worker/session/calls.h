/*
 * calls: commands, CALLs from the platform to a charge point.
 *
 * Each connection has a short queue, in order, with at most one CALL in
 * flight (OCPP-J 1.6 section 4.1.1). Every command ends in exactly one
 * outcome (outcomes.h, promise P3). A CALL leaves when its event command.sent
 * is durable: after a crash of everything the journal then shows which
 * commands have no outcome (former.c).
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

/* CHANNEL_call: a new command, for the connection msg->conn. body holds
 * commandId (may be empty), identity, action, payload. */
void calls_take(const struct channel_msg *msg, const char *body);

/* A call from the queue in Redis that call_queue_pull() asked for. Its outcome
 * goes to call_queue_ended(), which makes the event. */
void calls_take_queued(struct conn *c, struct queued_call *q,
    const char *action, const char *payload, size_t len);

/* A CALLRESULT or CALLERROR of the charge point. */
void calls_answered(
    struct conn *c, const struct ocppj_frame *f, const struct json *tape);

/* An answer that cannot be read but for its id: the CALL in flight of that id
 * ends with that error. */
void calls_spoiled(struct conn *c, const struct ocppj_frame *f);

/* Events up to this number are durable: calls whose command.sent is among them
 * leave. */
void calls_committed(uint64_t number);

/* Sends the next command, if it may be sent now. */
void calls_pump(struct conn *c);

/* Deadlines; once a second for each connection that has commands. */
void calls_tick(struct conn *c);

/* The calls of a connection as lines behind its record, for another process
 * (moving.h), and the outcomes that the journal did not take. calls_read()
 * takes one of the lines; c: the connection of the record before it, NULL if
 * it did not arrive. False if the line is another owner's. */
void calls_write(const struct conn *c, struct buf *out);
void calls_put(struct buf *out);
bool calls_read(struct conn *c, struct fields *f);
/* They have moved. */
void calls_forget(struct conn *c);
/* A call is announced and waits for its commit. */
bool calls_announced(const struct conn *c);

/* The session ends: what is in flight becomes uncertain, the rest offline. */
void calls_drop(struct conn *c);

#endif
