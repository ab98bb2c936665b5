/*
 * ws: RFC 6455 frames in, messages up; frames out.
 *
 * A quiet connection owns nothing of this file but one byte, `bits`, that
 * says whether a close frame went either way. While bytes are in flight it
 * borrows a lease (struct ws): a wslay context for what comes in, a place for
 * half a frame, and room for the pongs that are due.
 *
 *     n = read(fd, scratch)
 *     if (c->ws == NULL) c->ws = ws_borrow(c, &c->bits, max_message)
 *     result = ws_input(c->ws, scratch, n)     -> up_message() ...
 *     ws_output(c->ws, &c->out)
 *     write(fd, c->out)
 *     if (ws_clean(c->ws)) ws_return(c->ws), c->ws = NULL
 *
 * Inbound goes through wslay (masks, fragments, UTF-8). Outbound frames are
 * built here, in the connection's own buffer, and wslay writes nothing: a
 * server's frame is two to ten bytes and the payload, so one memcpy does it,
 * header and payload leave in one send(), and a connection needs no lease in
 * order to say something.
 *
 * Memory: about 11 KB a lease, and the message being collected, which grows
 * with what has arrived, never with what a header announces.
 */
#ifndef WORKER_WS_H
#define WORKER_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct ws;

enum ws_opcode {
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10
};

/* The byte a connection keeps: zero after the handshake, written by this
 * file only. */
enum {
    WS_CLOSE_SENT = 1,    /* a close frame is in the output, or a lease holds
                             it for ws_output(): nothing follows it */
    WS_CLOSE_RECEIVED = 2 /* the peer's close frame came: nothing follows */
};

/* Status codes (RFC 6455 section 7.4.1) that this file gives or reports. */
enum {
    WS_STATUS_PROTOCOL = 1002,
    WS_STATUS_NONE = 1005, /* close frame without a status; never sent */
    WS_STATUS_UTF8 = 1007,
    WS_STATUS_TOO_BIG = 1009,
    WS_STATUS_INTERNAL = 1011
};

#define WS_CONTROL_MAX 125 /* payload of ping, pong, close (section 5.5) */
#define WS_REASON_MAX 123  /* the reason in a close frame, bytes */
#define WS_HEAD_MAX 10     /* header of a frame we send */

/* --- leases -------------------------------------------------------------- */

/*
 * Lends a context to `owner`, which comes back in the up-calls. bits is the
 * owner's byte and outlives the lease. max_message: bytes of one message,
 * fragments summed; at most INT32_MAX. NULL if memory is out.
 */
struct ws *ws_borrow(void *owner, uint8_t *bits, size_t max_message);

/* Takes it back at any time but from inside an up-call: into the pool if
 * clean, to the heap otherwise. What was due to be sent is forgotten. */
void ws_return(struct ws *ws);

/* True if it may be returned and nobody would notice: no frame half read,
 * no fragmented message open, nothing for ws_output(), nothing failed, no
 * close frame read. Exact, also with a peer that means harm. */
bool ws_clean(const struct ws *ws);

/* How many idle leases the pool keeps (11 KB each); frees those over it.
 * 0 before the first call. ws_pool_keep(0) at the end frees all. */
void ws_pool_keep(unsigned keep);
unsigned ws_pool_lent(void); /* leases out */
unsigned ws_pool_idle(void); /* leases kept for the next */

/* --- inbound ------------------------------------------------------------- */

enum ws_result {
    WS_GO_ON,   /* all bytes taken; more are welcome */
    WS_STOPPED, /* an up-call returned false; bytes behind it are dropped */
    WS_CLOSED,  /* the peer's close frame came; a reply is due if none went */
    WS_FAILED   /* the peer broke the protocol; a close frame is due if none
                   went; see ws_status() and ws_why() */
};

/*
 * Takes n bytes as they came from the socket. Everything but WS_GO_ON is
 * final: the lease then ignores further bytes and repeats its answer, and is
 * freed when returned. After WS_CLOSED and WS_FAILED: send what ws_output()
 * gives, then close the connection.
 *
 * After our own close frame (ws_put_close()) input goes on as before, until
 * the peer's close frame: answers under way still arrive. Pings are no
 * longer answered then.
 */
enum ws_result ws_input(struct ws *ws, const uint8_t *p, size_t n);

int         ws_status(const struct ws *ws); /* of WS_FAILED: 1002, 1007, 1009
                                               or 1011; 0 otherwise */
const char *ws_why(const struct ws *ws);    /* a few words for the log, static;
                                               NULL without WS_FAILED */

/*
 * Appends the pongs and the close frame that are due. Call it after
 * ws_input() and whenever `out` was written to the socket. While `out` holds
 * 4 KiB or more, pongs wait in the lease (a close frame does not); when they
 * pass 2 KiB, only the latest ping is answered (RFC 6455 section 5.5.3). So a
 * peer that pings and never reads costs a fixed amount. False if a close
 * frame did not fit: cut the connection.
 */
bool ws_output(struct ws *ws, struct buf *out);

/* --- delivered upwards: implemented by session.c, and in test/ ------------- */

/* They return true to go on and false to stop: the owner is dead. Bytes are
 * valid during the call only and not NUL-terminated. Frames for the peer may
 * be put into the owner's output meanwhile; the lease must stay. */

/* A whole message: WS_TEXT is valid UTF-8; WS_BINARY is the owner's to refuse
 * (ws_put_close() with 1003, and go on until the close handshake is done). */
bool up_message(void *owner, enum ws_opcode opcode, const char *data,
                size_t len);
bool up_ping(void *owner); /* its pong is due already; a sign of life */
bool up_pong(void *owner, const uint8_t *data, size_t len);
/* The peer's close frame: status as sent, or WS_STATUS_NONE; reason is valid
 * UTF-8. The reply is due already, ws_input() then answers WS_CLOSED. */
void up_close(void *owner, int status, const char *reason, size_t len);

/* --- outbound ------------------------------------------------------------ */

/*
 * Appends one unfragmented frame, whole or not at all. bits is the
 * connection's byte. False after a close frame, or if it does not fit in
 * `out` (out->overflow tells which). Control frames: at most WS_CONTROL_MAX
 * bytes. For close frames there is ws_put_close() alone.
 */
bool ws_put(struct buf *out, const uint8_t *bits, enum ws_opcode opcode,
            const void *data, size_t len);

/* Appends a close frame and sets WS_CLOSE_SENT. status 0: a frame without
 * one. The reason (may be NULL; UTF-8) is cut to WS_REASON_MAX bytes at a
 * character's edge. False if one went before or it does not fit. */
bool ws_put_close(struct buf *out, uint8_t *bits, int status,
                  const char *reason);

/* The header alone, for payload bytes the caller appends or sends itself:
 * writes 2 to 10 bytes, returns how many. FIN set, no mask. */
size_t ws_head(uint8_t out[WS_HEAD_MAX], enum ws_opcode opcode, size_t len);

#endif
