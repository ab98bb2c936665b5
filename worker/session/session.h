/*
 * session: a charge point that is connected to this worker.
 *
 * A session begins when the identity is claimed in the registry and ends once,
 * for one of the reasons in close.def; bytes that come later on the socket are
 * ignored. Between the two, messages come up from ws.c and go to answers.c
 * (CALLs of the charge point) and calls.c (its answers to CALLs of the
 * gateway).
 */
#ifndef WORKER_SESSION_SESSION_H
#define WORKER_SESSION_SESSION_H

#include "base/self.h"
#include "net/conn.h"
#include "ocpp/dialect.h"
#include "registry.h"

/* HANDSHAKE to OPEN: claims the identity, and ends its former connection, if
 * there is one. If the result is not REGISTRY_OK, nothing has changed. */
enum registry_result session_open(
    struct conn *c, const char *name, size_t len, enum dialect_number protocol);

/* No common version: HANDSHAKE to CLOSING with a close frame. */
void session_reject_version(struct conn *c);
/* HANDSHAKE to CLOSING. */
void session_leave_handshake(struct conn *c);

/* OPEN to CLOSING. Sends the close frame of the reason, if it has one and none
 * was sent yet. why: text of the close frame; NULL for the sentence of the
 * reason. */
void session_end(struct conn *c, enum close_reason reason, const char *why);

/* OPEN to CLOSING without a close frame; code: the status for the event, 0 for
   none. */
void session_leave(struct conn *c, enum close_reason reason, int code);

/* Ends the session if its identity has a newer owner. */
void session_check_owner(struct conn *c);

/* Adds an open connection to the gauges of this worker, or removes it. */
void session_count(const struct conn *c, bool in);
/* Called when the connection has sent a message about a transaction, for the
   gauge of charging connections. */
void session_note_transaction(struct conn *c, bool under_way);

/* The same for a connection that has just moved here. A worker that claimed its
 * identity meanwhile has notified the former worker, which did not have the
 * connection any more. */
void session_moved(struct conn *c);

/* Stores in the registry when the charge point was last seen, and the number
 * of messages on this connection, which must hold the entry. */
void session_note(struct conn *c);

/* Appends a JSON object with the state that is not in shared memory. */
void session_describe(struct conn *c, struct buf *out);

/* True if the part of session/ is quiet: no call is queued or in flight, and no
 * answer is deferred or awaited from the platform. */
bool session_is_quiet(const struct conn *c);

/* Publishes the end of a session whose worker has died. e: the entry in the
 * registry, not a copy. */
void session_bury(const struct registry_entry *e, uint64_t generation,
    enum close_reason reason);
/* A newer connection has replaced the session, which was in a former process of
 * this slot: publishes its end, unless recovery has. */
void session_replaced_former(uint32_t entry, uint64_t generation);

/* The part of session/ in a connection's record (moving.h). False if the
 * identity has no registry entry, or the record is malformed. */
void session_write(const struct conn *c, struct buf *out);
bool session_read(struct conn *c, struct fields *f);

/* Milliseconds since an OPEN connection became OPEN. */
static inline uint64_t
session_age_ms(const struct conn *c)
{
    uint8_t eras = (uint8_t)(self.now_era - c->session.opened_era);

    return ((uint64_t)eras << 32) + self.now_ms - c->opened_ms;
}

/* --- input --------------------------------------------------------------- */

/* Bytes of a connection that is OPEN or CLOSING. */
void session_bytes(struct conn *c, const uint8_t *p, size_t n);
/* A whole message. False if the bytes behind it must be ignored. */
bool session_message(
    struct conn *c, enum frame_opcode opcode, const char *text, size_t len);
/* A pong came: if it answers the last ping, it gives the round trip time.
 */
void session_pong(struct conn *c, const uint8_t *data, size_t len);
/* The peer's close frame came; status as in up_close(). */
void session_closed(struct conn *c, int status);
/* Called when the socket of an OPEN connection has failed; conn_kill()
   follows. */
void session_broken(struct conn *c, enum close_reason reason);

#endif
