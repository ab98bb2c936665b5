/*
 * frame: the frames of RFC 6455 section 5, as bytes.
 *
 * Pure. Writes the frames a server sends into a buf, and reads the headers of
 * the frames a client sends. A server's frame is a header of two to ten bytes
 * and the payload, so it is copied into the output once and sent by one send().
 * A quiet connection needs no lease of ws.h in order to send.
 */
#ifndef WORKER_NET_FRAME_H
#define WORKER_NET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum frame_opcode {
    FRAME_CONTINUATION = 0,
    FRAME_TEXT = 1,
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10
};

/* The one byte of WebSocket state that a quiet connection keeps: zero after
 * the handshake, written by frame.c and ws.c only. */
enum {
    FRAME_CLOSE_SENT = 1,     /* a close frame is in the output, or a lease will
                                 write one: no frame may follow */
    FRAME_CLOSE_RECEIVED = 2, /* the peer's close frame came; its frames end
                                 there */
    FRAME_CLOSING = 3,        /* either of them */
    /* The upper four bits: the window size of deflate.h, 0 without
       compression. */
    FRAME_WINDOW_SHIFT = 4
};

static inline unsigned
frame_window(uint8_t bits)
{
    return bits >> FRAME_WINDOW_SHIFT;
}

/* Status codes (section 7.4.1) that frame.c and ws.c send or report. */
enum {
    FRAME_STATUS_PROTOCOL = 1002,
    FRAME_STATUS_NONE = 1005, /* a close frame without status; never sent */
    FRAME_STATUS_UTF8 = 1007,
    FRAME_STATUS_POLICY = 1008,
    FRAME_STATUS_TOO_BIG = 1009,
    FRAME_STATUS_INTERNAL = 1011
};

#define FRAME_CONTROL_MAX 125 /* payload of ping, pong, close (section 5.5) */
#define FRAME_REASON_MAX 123  /* the reason in a close frame, bytes */
#define FRAME_HEAD_OUT 10     /* longest header of an outbound frame */
#define FRAME_HEAD_IN 14      /* longest header of an inbound frame */

/* --- out ----------------------------------------------------------------- */

/*
 * Appends one unfragmented frame, whole or not at all. bits is the
 * connection's byte. False after a close frame, or if it does not fit in out
 * (then out->overflow is set). Control frames: at most FRAME_CONTROL_MAX
 * bytes. For close frames there is frame_put_close() alone.
 */
bool frame_put(struct buf *out, const uint8_t *bits, enum frame_opcode opcode,
    const void *data, size_t len);
/* The same for a message that deflate_compress() has compressed: RSV1 is set
 * (RFC 7692 section 6.1). */
bool frame_put_compressed(struct buf *out, const uint8_t *bits,
    enum frame_opcode opcode, const void *data, size_t len);

/* Appends a close frame and sets FRAME_CLOSE_SENT. status 0: a frame without
 * one. The reason (may be NULL; UTF-8) is cut to FRAME_REASON_MAX bytes at a
 * character's edge. False if one went before, or if it does not fit. */
bool frame_put_close(
    struct buf *out, uint8_t *bits, int status, const char *reason);

/* The header alone, for a payload the caller appends: writes 2 to 10 bytes,
 * returns how many. FIN set, no mask. */
size_t frame_head(uint8_t *out, enum frame_opcode opcode, size_t len);

/* --- in ------------------------------------------------------------------ */

struct frame_in {
    size_t      head;    /* bytes of the header; 0 while it is incomplete */
    uint64_t    payload; /* bytes */
    uint8_t     opcode;
    bool        fin;
    bool        compressed; /* RSV1 is set: the message is compressed */
    int         status;     /* status of a refusal: 1002 or 1009 */
    const char *why;        /* reason of a refusal: a few words, static */
};

/*
 * Reads the header of a client's frame from p[0..n), n > 0, and checks it as
 * early as its bytes allow (sections 5.2, 5.4, 5.5). open: a fragmented message
 * is not finished. deflate: messages may be compressed. room: the most payload
 * bytes of a data frame. False with status and why for a frame that must be
 * refused.
 */
bool frame_read(struct frame_in *f, const uint8_t *p, size_t n, bool open,
    bool deflate, uint64_t room);

#endif
