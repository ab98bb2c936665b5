/*
 * ws: RFC 6455 frames in, messages up, pongs and the last close frame out.
 *
 * A quiet connection owns nothing of this file: it keeps one byte (`bits`,
 * see frame.h), which also says whether messages may be compressed. While bytes
 * are in flight it borrows a lease (struct ws): a wslay context for what comes
 * in, a place for half a frame, and room for the pongs that are due.
 *
 *     n = read(fd, scratch)
 *     if (c->ws == NULL) c->ws = ws_borrow(c, &c->bits, max_message)
 *     result = ws_input(c->ws, scratch, n)     -> up_message() ...
 *     ws_output(c->ws, &c->out)
 *     write(fd, c->out)
 *     if (ws_clean(c->ws)) ws_return(c->ws), c->ws = NULL
 *
 * Inbound goes through wslay (masks, fragments, UTF-8); this is the only file
 * that knows it. Outgoing frames are written by frame.h, without it.
 *
 * Memory: about 11 KB a lease, and the message being collected, which grows
 * with what has arrived, never with what a header announces.
 */
#ifndef WORKER_NET_WS_H
#define WORKER_NET_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "fields.h"
#include "net/frame.h"
#include "base/up.h"

struct ws;

/* --- leases -------------------------------------------------------------- */

/*
 * Lends a context to `owner`, which comes back in the up-calls. bits is the
 * owner's byte and outlives the lease. max_message: bytes of one message,
 * fragments summed, also when inflated; at most INT32_MAX. NULL if memory is
 * out.
 */
struct ws *ws_borrow(void *owner, uint8_t *bits, size_t max_message);

/* Takes it back at any time but from inside an up-call: into the pool if
 * clean, to the heap otherwise. What was due to be sent is forgotten. */
void ws_return(struct ws *ws);

/* After FRAME_STATUS_TOO_BIG: the bytes that were announced of the message, 0
 * if not known, and how it begins, as far as that has arrived. */
#define WS_BEGIN_MAX 200
uint64_t ws_too_big(const struct ws *ws, const char **begin, size_t *n);

/* True if it can be returned without any loss: no frame half read, no
 * fragmented message open, nothing for ws_output(), nothing failed, no close
 * frame read. Exact also for hostile peers. */
bool ws_clean(const struct ws *ws);

/* How many idle leases the pool keeps (11 KB each); frees those over it.
 * 0 before the first call. ws_pool_keep(0) at the end frees all. */
void ws_pool_keep(unsigned keep);
/* Bytes that all leases together may hold of messages that are being collected,
 * 0 for no limit; a message that needs more fails with 1008. */
void     ws_pool_limit(uint64_t bytes);
uint64_t ws_pool_bytes(void);
unsigned ws_pool_lent(void); /* leases out */
unsigned ws_pool_idle(void); /* leases kept for the next */

/* --- the move to another process ----------------------------------------- */

/* What a lease holds, as part of a connection's record (moving.h): half a
 * frame, the fragments of a message, pongs. ws_read() fills a lease that was
 * just borrowed; false if the record is not right. Between up-calls, after
 * ws_output(); a lease that answers other than WS_GO_ON has nothing to write.
 */
bool   ws_write(const struct ws *ws, struct buf *out);
size_t ws_bytes(const struct ws *ws); /* about as many of it */
bool   ws_recorded(struct fields *f);
bool   ws_read(struct ws *ws, struct fields *f);

/* How many compressed messages came since the last call. */
unsigned ws_take_inflated(void);

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
 * After the close frame of this side (frame_put_close()) input goes on as
 * before until the peer's close frame: answers under way still arrive. Pings
 * are no longer answered then.
 */
enum ws_result ws_input(struct ws *ws, const uint8_t *p, size_t n);

int ws_status(const struct ws *ws);      /* of WS_FAILED: 1002, 1007, 1009
                                            or 1011; 0 otherwise */
const char *ws_why(const struct ws *ws); /* a few words for the log, static;
                                            NULL without WS_FAILED */

/*
 * Appends the pongs and the close frame that are due. Call it after
 * ws_input() and whenever `out` was written to the socket. While `out` holds
 * WS_OUTPUT_ENOUGH bytes, pongs wait in the lease (a close frame does not);
 * when they pass 2 KiB, only the latest ping is answered (RFC 6455
 * section 5.5.3). So a peer that pings and never reads costs a fixed amount. It
 * may be called in an up-call too, so that pongs and answers leave in the order
 * of what they answer. False if a close frame did not fit: cut the
 * connection.
 */
#define WS_OUTPUT_ENOUGH 4096

bool ws_output(struct ws *ws, struct buf *out);

#endif
