/*
 * ws: wslay, one frame at a time.
 *
 * frame_read() sees each header before wslay does, so that
 *
 *   - the end of a frame is known by counting bytes, so whether a context is
 * clean needs no getter of wslay (1.1.1 has none);
 *   - a frame that is too long or not masked is refused as soon as its header
 * has arrived (wslay waits for the first byte of the payload);
 *   - a control frame reaches wslay whole: it skips two bytes of each piece
 * when it checks the UTF-8 of a close reason, so it would accept wrong reasons
 * and refuse right ones that arrive in two pieces;
 *   - bytes after the last frame are never passed to wslay.
 *
 *      socket bytes    frame_read()                  wslay
 *     ------------->  held[] (half a header,  --------------> frame_start
 *                     half a control frame)    one frame,     chunk ...
 *                     left (payload to come)   or a part      frame_end
 *                                              of its data    message
 *
 * The writing side of each wslay context is shut from the beginning, so that it
 * queues neither pongs nor close frames: it would keep a heap object per ping,
 * and answer some errors without a status. It still reports pings and close
 * frames. The position in a frame at which wslay stops shows the error; see
 * verdict().
 */
#include "net/ws_private.h"

#include <string.h>

#include "ensure.h"
#include "net/deflate.h"
#include "utf8.h"

#define MSG_KEEP 4096 /* message memory kept within one lease */

static unsigned inflated; /* messages, since ws_take_inflated() */

/* --- what is due --------------------------------------------------------- */

static void
close_due(struct ws *ws, int status)
{
    if (*ws->bits & FRAME_CLOSE_SENT)
        return;
    *ws->bits |= FRAME_CLOSE_SENT;
    ws->close_n = (uint8_t)frame_head(ws->close, FRAME_CLOSE, status ? 2 : 0);
    if (status) {
        ws->close[ws->close_n++] = (uint8_t)(status >> 8);
        ws->close[ws->close_n++] = (uint8_t)status;
    }
}

static void
pong_due(struct ws *ws, const uint8_t *data, size_t len)
{
    if (*ws->bits & FRAME_CLOSE_SENT)
        return;
    if (ws->pongs_n + 2 + len > sizeof ws->pongs)
        ws->pongs_n = 0;
    uint8_t *p = ws->pongs + ws->pongs_n;
    size_t   n = frame_head(p, FRAME_PONG, len);
    if (len > 0)
        memcpy(p + n, data, len);
    ws->pongs_n += (uint16_t)(n + len);
}

bool
ws_output(struct ws *ws, struct buf *out)
{
    if (ws->pongs_n > 0) {
        if (ws->close_n == 0 && (*ws->bits & FRAME_CLOSE_SENT)) {
            /* `out` already holds the owner's close frame, which no pong may
             * follow. */
            ws->pongs_n = 0;
        } else if (out->len < WS_OUTPUT_ENOUGH &&
            ws->pongs_n <= out->max - out->len) {
            if (buf_add(out, ws->pongs, ws->pongs_n))
                ws->pongs_n = 0;
        }
    }
    if (ws->close_n > 0) {
        ws->pongs_n = 0;
        if (!buf_add(out, ws->close, ws->close_n))
            return false;
        ws->close_n = 0;
    }
    return true;
}

/* --- what wslay calls ---------------------------------------------------- */

static ssize_t
recv_cb(
    wslay_event_context_ptr ctx, uint8_t *p, size_t n, int flags, void *user)
{
    struct ws *ws = user;

    (void)flags;
    if (n > ws->feed_n)
        n = ws->feed_n;
    if (n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(p, ws->feed, n);
    ws->feed += n;
    ws->feed_n -= n;
    return (ssize_t)n;
}

static void
frame_start_cb(wslay_event_context_ptr                ctx,
    const struct wslay_event_on_frame_recv_start_arg *arg, void *user)
{
    struct ws *ws = user;

    (void)ctx;
    (void)arg;
    ws->stage = STARTED;
}

static void
fail(struct ws *ws, int status, const char *why)
{
    ws->result = WS_FAILED;
    ws->status = status;
    ws->why = why;
    close_due(ws, status);
}

/* wslay passes the payload unmasked, in pieces as they arrive, and has checked
 * the UTF-8 of a text. */
static void
chunk_cb(wslay_event_context_ptr                      ctx,
    const struct wslay_event_on_frame_recv_chunk_arg *arg, void *user)
{
    struct ws *ws = user;

    (void)ctx;
    if (ws->control) /* the whole payload comes with message_cb() */
        return;
    if (ws->single && arg->data_length == ws->payload) {
        /* The usual case needs no copy: the message stays in wslay's buffer
         * until the next recv_cb(), which is called after message_cb(). */
        ws->whole = arg->data;
        return;
    }
    if (!ws_message_fits(ws, arg->data_length))
        fail(ws, FRAME_STATUS_POLICY, "the worker's buffers are full");
    else if (!ws_message_add(ws, arg->data, arg->data_length))
        fail(ws, FRAME_STATUS_INTERNAL, "out of memory");
}

static void
frame_end_cb(wslay_event_context_ptr ctx, void *user)
{
    struct ws *ws = user;

    (void)ctx;
    ws->stage = ENDED;
}

/* wslay does not check the text of a compressed message, so it is checked
 * here. */
static void
deliver_inflated(
    struct ws *ws, enum frame_opcode opcode, const char *data, size_t n)
{
    const char *text;
    size_t      len;

    switch (deflate_inflate(data, n, ws->max, &text, &len)) {
    case DEFLATE_OK:
        inflated++;
        up_inflated(ws->owner, len);
        if (opcode == FRAME_TEXT && !utf8_is(text, len))
            fail(ws, FRAME_STATUS_UTF8, "text is not UTF-8");
        else if (!up_message(ws->owner, opcode, text, len))
            ws->result = WS_STOPPED;
        break;
    case DEFLATE_TOO_BIG:
        fail(ws, FRAME_STATUS_TOO_BIG, "message too big when inflated");
        break;
    case DEFLATE_BROKEN:
        fail(ws, FRAME_STATUS_UTF8, "message is not a deflate stream");
        break;
    case DEFLATE_NO_MEMORY:
        fail(ws, FRAME_STATUS_INTERNAL, "out of memory");
        break;
    }
    deflate_done();
}

static void
deliver(struct ws *ws, enum frame_opcode opcode)
{
    const char *data = ws->whole ? (const char *)ws->whole
        : ws->msg.p              ? ws->msg.p
                                 : "";
    size_t      len = ws->whole ? (size_t)ws->payload : ws->msg.len;

    ws->open = false;
    ws->sum = 0;
    ws->whole = NULL;
    if (ws->compressed)
        deliver_inflated(ws, opcode, data, len);
    else if (!up_message(ws->owner, opcode, data, len))
        ws->result = WS_STOPPED;
    if (ws->msg.cap > MSG_KEEP)
        ws_message_free(ws);
    else
        buf_clear(&ws->msg);
}

static void
closed(struct ws *ws, const struct wslay_event_on_msg_recv_arg *arg)
{
    if (arg->msg_length == 1) {
        fail(ws, FRAME_STATUS_PROTOCOL, "half a status in a close frame");
        return;
    }
    ws->result = WS_CLOSED;
    *ws->bits |= FRAME_CLOSE_RECEIVED;
    close_due(ws, arg->status_code);
    bool bare = arg->msg_length == 0;
    up_close(ws->owner, bare ? FRAME_STATUS_NONE : arg->status_code,
        bare ? "" : (const char *)arg->msg + 2, bare ? 0 : arg->msg_length - 2);
}

static void
message_cb(wslay_event_context_ptr            ctx,
    const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
    struct ws *ws = user;

    (void)ctx;
    if (ws->result != WS_GO_ON) /* memory ran out in chunk_cb() */
        return;
    switch (arg->opcode) {
    case WSLAY_TEXT_FRAME:
        deliver(ws, FRAME_TEXT);
        break;
    case WSLAY_BINARY_FRAME:
        deliver(ws, FRAME_BINARY);
        break;
    case WSLAY_PING:
        pong_due(ws, arg->msg, arg->msg_length);
        break;
    case WSLAY_PONG:
        if (!up_pong(ws->owner, arg->msg, arg->msg_length))
            ws->result = WS_STOPPED;
        break;
    case WSLAY_CONNECTION_CLOSE:
        closed(ws, arg);
        break;
    }
}

const struct wslay_event_callbacks ws_callbacks = {.recv_callback = recv_cb,
    .on_frame_recv_start_callback = frame_start_cb,
    .on_frame_recv_chunk_callback = chunk_cb,
    .on_frame_recv_end_callback = frame_end_cb,
    .on_msg_recv_callback = message_cb};

/* --- inbound ------------------------------------------------------------- */

/* Finds out whether wslay has accepted the bytes. frame_read() has accepted the
 * header, so if wslay stops reading, the cause is invalid UTF-8 (found before
 * the end of the frame) or the status of a close frame (checked after it). */
static void
verdict(struct ws *ws, int r)
{
    if (ws->result != WS_GO_ON)
        return;
    if (r == WSLAY_ERR_NOMEM)
        fail(ws, FRAME_STATUS_INTERNAL, "out of memory");
    else if (r == 0 && wslay_event_get_read_enabled(ws->ctx))
        ensure(ws->feed_n == 0);
    else if (ws->stage == STARTED)
        fail(ws, FRAME_STATUS_UTF8, "text is not UTF-8");
    else if (ws->stage == ENDED)
        fail(ws, FRAME_STATUS_PROTOCOL, "status not allowed in a close frame");
    else
        fail(ws, FRAME_STATUS_PROTOCOL, "frame refused");
}

static void
feed(struct ws *ws, const uint8_t *p, size_t n)
{
    ws->feed = p;
    ws->feed_n = n;
    verdict(ws, wslay_event_recv(ws->ctx));
}

/* Keeps the announced length and the first bytes of a message that is too big.
 */
static void
note_begin(struct ws *ws, const struct frame_in *h, const uint8_t *f, size_t n)
{
    size_t head = (f[1] & 0x7f) == 126 ? 4 : 10;

    ws->big = ws->sum + h->payload;
    ws->begin_n = 0;
    if (ws->compressed || h->compressed)
        return;
    if (ws->sum > 0) {
        size_t have = ws->msg.len < WS_BEGIN_MAX ? ws->msg.len : WS_BEGIN_MAX;
        memcpy(ws->begin, ws->msg.p, have);
        ws->begin_n = (uint8_t)have;
        return;
    }
    for (size_t i = 0; head + 4 + i < n && i < WS_BEGIN_MAX; i++)
        ws->begin[ws->begin_n++] = (char)(f[head + 4 + i] ^ f[head + (i & 3)]);
}

/* Called at the start of a frame. Takes the header and the payload that has
 * arrived. Returns the number of bytes of p used. */
static size_t
start(struct ws *ws, const uint8_t *p, size_t n)
{
    const uint8_t  *f = p;
    size_t          f_n = n;
    struct frame_in h;

    if (ws->held_n > 0) {
        size_t room = WS_HELD_MAX - ws->held_n;
        if (n < room)
            room = n;
        memcpy(ws->held + ws->held_n, p, room);
        f = ws->held;
        f_n = ws->held_n + room;
    }
    if (!frame_read(&h, f, f_n, ws->open, frame_window(*ws->bits) != 0,
            ws->max - ws->sum)) {
        fail(ws, h.status, h.why);
        if (h.status == FRAME_STATUS_TOO_BIG)
            note_begin(ws, &h, f, f_n);
        return n;
    }

    bool   control = h.opcode & 0x08;
    size_t whole = h.head + (control ? (size_t)h.payload : 0);
    if (h.head == 0 || f_n < whole) {
        /* The header is incomplete: f_n < WS_HELD_MAX, so f contains all of
           p. */
        if (f == p)
            memcpy(ws->held, p, n);
        ws->held_n = (uint8_t)f_n;
        return n;
    }

    size_t before = ws->held_n; /* bytes to feed that are not in p */
    ws->stage = BEFORE_START;
    ws->control = control;
    ws->held_n = 0;
    if (control) {
        feed(ws, f, whole);
        return whole - before;
    }
    ws->payload = h.payload;
    ws->single = h.fin && !ws->open;
    if (!ws->open) {
        ws->compressed = h.compressed;
        ws->opcode = h.opcode;
    }
    if (!h.fin)
        ws->open = true;
    ws->sum += h.payload;
    size_t take = h.head;
    if (before == 0)
        take += h.payload < n - h.head ? (size_t)h.payload : n - h.head;
    ws->left = h.payload - (take - h.head);
    if (ws->left > 0) {
        ws->head_n = (uint8_t)h.head;
        memcpy(ws->head, f, h.head);
    }
    feed(ws, f, take);
    return take - before;
}

enum ws_result
ws_input(struct ws *ws, const uint8_t *p, size_t n)
{
    ensure(!ws->busy);
    if (*ws->bits & FRAME_CLOSE_RECEIVED && ws->result == WS_GO_ON)
        ws->result = WS_CLOSED;
    ws->busy = true;
    while (n > 0 && ws->result == WS_GO_ON) {
        size_t used;
        if (ws->left > 0) {
            used = ws->left < n ? (size_t)ws->left : n;
            ws->left -= used;
            feed(ws, p, used);
        } else {
            used = start(ws, p, n);
        }
        p += used;
        n -= used;
    }
    ws->busy = false;
    return ws->result;
}

bool
ws_clean(const struct ws *ws)
{
    return ws_is_clean(ws);
}

int
ws_status(const struct ws *ws)
{
    return ws->status;
}

uint64_t
ws_too_big(const struct ws *ws, const char **begin, size_t *n)
{
    *begin = ws->begin;
    *n = ws->begin_n;
    return ws->big;
}

const char *
ws_why(const struct ws *ws)
{
    return ws->why;
}

unsigned
ws_take_inflated(void)
{
    unsigned n = inflated;

    inflated = 0;
    return n;
}
