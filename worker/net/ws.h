/*
 * ws: RFC 6455 frames in, messages up, pongs and the last close frame out.
 *
 * A quiet connection has only one byte of state (`bits`, see frame.h), which
 * also has a bit for compression. While bytes are handled, it borrows a lease
 * (struct ws): a wslay context for the input, a buffer for an incomplete frame,
 * and a buffer for the pongs that are due.
 *
 *     n = read(fd, scratch)
 *     if (c->ws == NULL) c->ws = ws_borrow(c, &c->bits, max_message)
 *     result = ws_input(c->ws, scratch, n)     -> up_message() ...
 *     ws_output(c->ws, &c->out)
 *     write(fd, c->out)
 *     if (ws_clean(c->ws)) ws_return(c->ws), c->ws = NULL
 *
 * The input is parsed by wslay (masks, fragments, UTF-8), which is used only in
 * ws.c. Outgoing frames are written by frame.h, without wslay.
 *
 * Memory: about 11 KB for a lease, and the message that is being received. Its
 * buffer grows with the bytes that have arrived, not with the length that a
 * header announces.
 */
#ifndef WORKER_NET_WS_H
#define WORKER_NET_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/up.h"
#include "buf.h"
#include "fields.h"
#include "net/frame.h"

struct ws;

/* --- leases -------------------------------------------------------------- */

/*
 * Lends a lease to `owner`, which is an argument of the up-calls. bits is the
 * owner's state byte and outlives the lease. max_message: bytes of one message,
 * all fragments together, also when inflated; at most INT32_MAX. NULL if memory
 * is out.
 */
struct ws *ws_borrow(void *owner, uint8_t *bits, size_t max_message);

/* Takes a lease back, at any time except inside an up-call: into the pool if it
 * is clean, otherwise to the heap. Frames that were due are discarded. */
void ws_return(struct ws *ws);

/* After FRAME_STATUS_TOO_BIG: the announced length of the message, 0 if not
 * known, and its first bytes, as far as they have arrived. */
#define WS_BEGIN_MAX 200
uint64_t ws_too_big(const struct ws *ws, const char **begin, size_t *n);

/* True if the lease can be returned without loss: no frame half read, no
 * fragmented message open, nothing for ws_output(), no failure, no close frame
 * read. The result is exact also for hostile peers. */
bool ws_clean(const struct ws *ws);

/* Sets how many idle leases the pool keeps (11 KB each), and frees the others.
 * 0 before the first call. ws_pool_keep(0) at the end frees all. */
void ws_pool_keep(unsigned keep);
/* Sets how many bytes of incomplete messages all leases together may hold, 0
 * for no limit. A message that needs more fails with 1008. */
void     ws_pool_limit(uint64_t bytes);
uint64_t ws_pool_bytes(void); /* bytes that they hold now */
unsigned ws_pool_lent(void);  /* leases that are lent */
unsigned ws_pool_idle(void);  /* leases kept for the next */

/* --- the move to another process ----------------------------------------- */

/* ws_write() writes the content of a lease as part of a connection's record
 * (moving.h): half a frame, the fragments of a message, pongs. Called outside
 * of up-calls, after ws_output(); a lease whose result is not WS_GO_ON has
 * nothing to write. ws_read() fills a lease that was just borrowed; false if
 * the record is malformed.
 */
bool   ws_write(const struct ws *ws, struct buf *out);
size_t ws_bytes(const struct ws *ws); /* about the bytes that ws_write()
                                         appends */
bool ws_recorded(struct fields *f); /* the record has the content of a lease */
bool ws_read(struct ws *ws, struct fields *f);

/* The number of compressed messages since the last call. */
unsigned ws_take_inflated(void);

/* --- inbound ------------------------------------------------------------- */

enum ws_result {
    WS_GO_ON,   /* all bytes were consumed; more may follow */
    WS_STOPPED, /* an up-call returned false; the bytes after that message are
                 * dropped */
    WS_CLOSED,  /* the peer's close frame came; a reply is due if none was
                   sent */
    WS_FAILED   /* the peer violated the protocol; a close frame is due if none
                   was sent; see ws_status() and ws_why() */
};

/*
 * Takes n bytes that were read from the socket. Every result except WS_GO_ON is
 * final: the lease then ignores further bytes, repeats its result, and is freed
 * when returned. After WS_CLOSED and WS_FAILED: send the output of ws_output(),
 * then close the connection.
 *
 * After the close frame of this side (frame_put_close()) input continues until
 * the peer's close frame, so that answers that were sent before still arrive.
 * Pings are no longer answered then.
 */
enum ws_result ws_input(struct ws *ws, const uint8_t *p, size_t n);

/* The status of the close frame of WS_FAILED: 1002 (protocol), 1007 (not UTF-8,
 * or not a deflate stream), 1008 (ws_pool_limit()), 1009 (too big) or 1011 (out
 * of memory); 0 otherwise. */
int ws_status(const struct ws *ws);
/* A few words for the log (static text); NULL without WS_FAILED. */
const char *ws_why(const struct ws *ws);

/*
 * Appends the pongs and the close frame that are due. Call it after ws_input()
 * and whenever `out` was written to the socket. While `out` holds
 * WS_OUTPUT_ENOUGH bytes, pongs wait in the lease (a close frame does not); if
 * they exceed 2 KiB, only the latest ping is answered (RFC 6455 section 5.5.3).
 * So a peer that pings and never reads costs a fixed amount of memory. It may
 * also be called in an up-call, so that pongs and answers are sent in the order
 * of the frames they answer. False if a close frame did not fit: the connection
 * must be closed at once.
 */
#define WS_OUTPUT_ENOUGH 4096

bool ws_output(struct ws *ws, struct buf *out);

#endif
