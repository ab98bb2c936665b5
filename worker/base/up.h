/*
 * up: what doors (conn, ws, journal, peer) hand upwards.
 *
 * Calls in a worker go down; these few come up. dispatch.c says who takes
 * them. Other programs may link a door and take them themselves.
 */
#ifndef WORKER_BASE_UP_H
#define WORKER_BASE_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "close.h"
#include "net/frame.h"

struct conn;

/* --- conn ---------------------------------------------------------------- */

/* Bytes came, in any state up to CLOSING. */
void up_bytes(struct conn *c, const uint8_t *p, size_t n);
/* The connection broke in HANDSHAKE or OPEN; conn_kill() follows. */
void up_broken(struct conn *c, enum close_reason reason);
/* It is about to become DEAD: its state is still the last one. */
void up_gone(struct conn *c);

/* --- ws ------------------------------------------------------------------ */

/* They return true to go on and false to stop: the owner is dead. Bytes are
 * valid during the call only and not NUL-terminated. Frames for the peer may
 * be put into the owner's output meanwhile; the lease must stay. Pings are
 * answered without asking: that bytes came, the caller knows. */

/* A whole message. FRAME_TEXT is valid UTF-8. FRAME_BINARY is the owner's to
 * refuse: frame_put_close() with 1003, and true, so that the close handshake
 * is awaited. */
bool up_message(
    void *owner, enum frame_opcode opcode, const char *data, size_t len);
bool up_pong(void *owner, const uint8_t *data, size_t len);
/* The peer's close frame: status as sent, or FRAME_STATUS_NONE; the reason is
 * valid UTF-8. The reply is due already; ws_input() answers WS_CLOSED. */
void up_close(void *owner, int status, const char *reason, size_t len);

/* --- journal ------------------------------------------------------------- */

/* Every event of this worker numbered up to this is durable: answers that
 * waited for it may leave. Grows from call to call. */
void up_committed(uint64_t number);

/* --- peer ---------------------------------------------------------------- */

/* A datagram of the master. */
void up_datagram(const struct channel_msg *m, const char *body);
/* The master is gone. */
void up_orphaned(void);

/* --- redis --------------------------------------------------------------- */

/* redis.h has what the door itself delivers. */
/* The identity has a newer connection on another gateway. */
void up_replaced(struct conn *c);

#endif
