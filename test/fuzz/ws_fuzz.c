/*
 * Feeds bytes to a WebSocket, at once and in pieces.
 *
 * It checks that in any pieces, the messages, the result and the close frame
 * are the same, and that there is at most one close frame, at the end; that a
 * context that is reported clean can be returned and another one borrowed
 * without any effect; and that no message is longer than the limit.
 *
 * The first byte chooses the pieces, the second the limit of messages.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "ensure.h"
#include "net/frame.h"
#include "net/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    uint8_t        bits;
    struct ws     *ws;
    size_t         max;
    struct buf     heard;
    struct buf     out;
    enum ws_result result;
    int            status;
};

static void
note(struct run *r, int kind, const void *data, size_t len)
{
    buf_addf(&r->heard, "%d %zu ", kind, len);
    buf_add(&r->heard, data, len);
}

void
up_inflated(void *owner, size_t len)
{
    (void)owner, (void)len;
}

bool
up_message(void *owner, unsigned opcode, const char *data, size_t len)
{
    struct run *r = owner;

    ensure(opcode == FRAME_TEXT || opcode == FRAME_BINARY);
    ensure(len <= r->max && !(r->bits & FRAME_CLOSE_RECEIVED));
    note(r, opcode, data, len);
    return !(len == 4 && memcmp(data, "stop", 4) == 0);
}

bool
up_pong(void *owner, const uint8_t *data, size_t len)
{
    ensure(len <= FRAME_CONTROL_MAX);
    note(owner, FRAME_PONG, data, len);
    return true;
}

void
up_close(void *owner, int status, const char *reason, size_t len)
{
    ensure(status >= 1000 && status <= 4999 && len <= FRAME_REASON_MAX);
    note(owner, status, reason, len);
}

static void
give(struct run *r, const uint8_t *data, size_t n)
{
    /* A heap block of the exact size, so that a sanitizer detects an access
     * beyond it. */
    uint8_t *piece = malloc(n);
    memcpy(piece, data, n);
    if (r->ws == NULL)
        r->ws = ws_borrow(r, &r->bits, r->max);
    ensure(r->ws != NULL);
    r->result = ws_input(r->ws, piece, n);
    r->status = ws_status(r->ws);
    free(piece);
    r->out.max = r->out.len + 4096;
    ensure(ws_output(r->ws, &r->out));
    ensure((r->result == WS_GO_ON) || !ws_clean(r->ws));
    ensure((r->result == WS_FAILED) == (ws_why(r->ws) != NULL));
    if (ws_clean(r->ws)) {
        ws_return(r->ws);
        r->ws = NULL;
    }
}

/* Checks that the sent frames are complete: pongs, and nothing after a close
 * frame. Returns the status of the close frame. */
static int
closing_status(const struct run *r)
{
    static const uint8_t nothing[1];
    const uint8_t       *p = r->out.len ? (const uint8_t *)r->out.p : nothing;
    const uint8_t       *end = p + r->out.len;
    int                  status = 0;

    while (p < end) {
        ensure(status == 0 && end - p >= 2 && p[1] <= FRAME_CONTROL_MAX &&
            end - p >= 2 + p[1]);
        ensure(p[0] == (0x80 | FRAME_PONG) || p[0] == (0x80 | FRAME_CLOSE));
        if (p[0] == (0x80 | FRAME_CLOSE)) {
            ensure(p[1] == 0 || p[1] == 2);
            status = p[1] == 0 ? FRAME_STATUS_NONE : p[2] << 8 | p[3];
        }
        p += 2 + p[1];
    }
    return status;
}

static void
finish(struct run *r)
{
    int status = closing_status(r);

    ensure((status != 0) == ((r->bits & FRAME_CLOSE_SENT) != 0));
    ensure(r->result != WS_FAILED || status == r->status);
    if (r->ws)
        ws_return(r->ws);
    buf_free(&r->heard);
    buf_free(&r->out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run one, pieces;

    if (size < 3 || size > 1 << 16)
        return 0;
    uint32_t dice = data[0] * 2654435761u + 1;
    memset(&one, 0, sizeof one);
    one.max = data[1] < 128 ? data[1] + 1u : data[1] * 512u;
    one.heard = BUF_INIT(1 << 20);
    one.bits = data[0] & 0x80 ? 15 << FRAME_WINDOW_SHIFT : 0;
    pieces = one;
    ws_pool_keep(2);
    give(&one, data + 2, size - 2);
    for (size_t at = 2; at < size;) {
        dice = dice * 1664525 + 1013904223;
        size_t n = 1 + (data[0] % 4 ? (dice >> 16) % (data[0] / 2 + 1) : 0);
        if (n > size - at)
            n = size - at;
        give(&pieces, data + at, n);
        at += n;
        if (pieces.result != WS_GO_ON)
            break;
    }
    ensure(one.result == pieces.result && one.status == pieces.status);
    ensure(one.bits == pieces.bits);
    ensure((one.ws == NULL) == (pieces.ws == NULL));
    ensure(one.heard.len == pieces.heard.len);
    ensure(one.heard.len == 0 ||
        memcmp(one.heard.p, pieces.heard.p, one.heard.len) == 0);
    ensure(closing_status(&one) == closing_status(&pieces));
    finish(&one);
    finish(&pieces);
    ensure(ws_pool_lent() == 0 && ws_pool_idle() <= 2);
    return 0;
}
