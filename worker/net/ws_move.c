/*
 * ws_move: writes and reads the content of a lease as part of a connection's
 * record. See ws.h.
 *
 * The state of wslay cannot be read, so the receiver makes it again by feeding
 * frames to a fresh context. The first is a fragment with the part of the
 * message that has arrived. The second is the frame that is half read, with its
 * header and mask. No up-call follows, because neither frame ends a message.
 */
#include "net/ws_private.h"

#include <string.h>

bool
ws_write(const struct ws *ws, struct buf *out)
{
    if (ws->result != WS_GO_ON)
        return true;
    size_t part = ws->left > 0 ? (size_t)(ws->payload - ws->left) : 0;
    if (part > ws->msg.len || ws->close_n > 0)
        return false;
    fields_put_u64(out, "ws_open", ws->open);
    fields_put_u64(out, "ws_first", ws->opcode | (ws->compressed ? 0x40 : 0));
    fields_put_bytes(out, "ws_message", ws->msg.p, ws->msg.len - part);
    if (ws->left > 0) {
        fields_put_bytes(out, "ws_head", ws->head, ws->head_n);
        fields_put_bytes(out, "ws_part", ws->msg.p + ws->msg.len - part, part);
    }
    if (ws->held_n > 0)
        fields_put_bytes(out, "ws_held", ws->held, ws->held_n);
    if (ws->pongs_n > 0)
        fields_put_bytes(out, "ws_pongs", ws->pongs, ws->pongs_n);
    return true;
}

size_t
ws_bytes(const struct ws *ws)
{
    return ws->msg.len + WS_HELD_MAX + ws->pongs_n;
}

bool
ws_recorded(struct fields *f)
{
    return fields_find(f, "ws_open") != NULL;
}

/* Feeds a fragment with a mask of zeros. */
static bool
feed_fragment(struct ws *ws, uint8_t first, const struct field *v)
{
    struct buf frame = BUF_INIT(v->len + FRAME_HEAD_IN);
    uint8_t    head[FRAME_HEAD_IN] = {0};
    size_t     n = frame_head(head, FRAME_TEXT, v->len);

    head[0] = first;
    head[1] |= 0x80;
    bool good = buf_add(&frame, head, n) && buf_add(&frame, "\0\0\0", 4) &&
        buf_add(&frame, v->value, v->len) &&
        ws_input(ws, (const uint8_t *)frame.p, frame.len) == WS_GO_ON;
    buf_free(&frame);
    return good;
}

/* Feeds the original header, and the payload, which is masked again. */
static bool
feed_part(struct ws *ws, const struct field *head, const struct field *part)
{
    uint8_t *p = (uint8_t *)part->value;

    if (head->len < 4)
        return false;
    const char *mask = head->value + head->len - 4;
    for (size_t i = 0; i < part->len; i++)
        p[i] ^= (uint8_t)mask[i & 3];
    return ws_input(ws, (const uint8_t *)head->value, head->len) == WS_GO_ON &&
        part->len < ws->left &&
        (part->len == 0 || ws_input(ws, p, part->len) == WS_GO_ON);
}

bool
ws_read(struct ws *ws, struct fields *f)
{
    bool                open = fields_bool(f, "ws_open", false);
    unsigned            first = (unsigned)fields_u64(f, "ws_first", 0, 0x4f);
    const struct field *message = fields_find(f, "ws_message");
    const struct field *head = fields_find(f, "ws_head");
    const struct field *part = fields_find(f, "ws_part");
    const struct field *held = fields_find(f, "ws_held");
    const struct field *pongs = fields_find(f, "ws_pongs");

    /* The frame that is half read may be the first of the message. */
    bool earlier = open && message != NULL &&
        (head == NULL || (head->len > 0 && (head->value[0] & 0x0f) == 0));
    if (earlier && !feed_fragment(ws, (uint8_t)first, message))
        return false;
    if (head != NULL && (part == NULL || !feed_part(ws, head, part)))
        return false;
    if (held != NULL &&
        (ws->left > 0 || held->len > WS_HELD_MAX ||
            ws_input(ws, (const uint8_t *)held->value, held->len) != WS_GO_ON ||
            ws->held_n != held->len))
        return false;
    if (pongs != NULL) {
        if (pongs->len > sizeof ws->pongs)
            return false;
        memcpy(ws->pongs, pongs->value, pongs->len);
        ws->pongs_n = (uint16_t)pongs->len;
    }
    return true;
}
