/* frame: the frames of RFC 6455 section 5, as bytes. See frame.h. */
#include "net/frame.h"

#include <string.h>

#include "ensure.h"

size_t
frame_head(uint8_t *out, enum frame_opcode opcode, size_t len)
{
    out[0] = 0x80 | (uint8_t)opcode;
    if (len < 126) {
        out[1] = (uint8_t)len;
        return 2;
    }
    if (len <= 0xffff) {
        out[1] = 126;
        out[2] = (uint8_t)(len >> 8);
        out[3] = (uint8_t)len;
        return 4;
    }
    out[1] = 127;
    for (int i = 0; i < 8; i++)
        out[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
    return 10;
}

#define RSV1 0x40

static bool
put(struct buf *out, enum frame_opcode opcode, uint8_t rsv, const void *data,
    size_t len)
{
    uint8_t head[FRAME_HEAD_OUT];
    size_t  head_n = frame_head(head, opcode, len);

    head[0] |= rsv;

    if (len > SIZE_MAX - head_n || !buf_reserve(out, head_n + len))
        return false;
    return buf_add(out, head, head_n) && buf_add(out, data, len);
}

bool
frame_put(struct buf *out, const uint8_t *bits, enum frame_opcode opcode,
    const void *data, size_t len)
{
    ensure(opcode != FRAME_CLOSE);
    ensure(opcode < FRAME_CLOSE || len <= FRAME_CONTROL_MAX);
    if (*bits & FRAME_CLOSE_SENT)
        return false;
    return put(out, opcode, 0, data, len);
}

bool
frame_put_compressed(struct buf *out, const uint8_t *bits,
    enum frame_opcode opcode, const void *data, size_t len)
{
    ensure(opcode < FRAME_CLOSE && frame_window(*bits) != 0);
    if (*bits & FRAME_CLOSE_SENT)
        return false;
    return put(out, opcode, RSV1, data, len);
}

bool
frame_put_close(struct buf *out, uint8_t *bits, int status, const char *reason)
{
    char   payload[FRAME_CONTROL_MAX];
    size_t n = 0;

    /* 1005, 1006 and 1015 must not be sent in a frame (section 7.4.1). */
    ensure(status == 0 ||
        (status >= 1000 && status <= 4999 && status != 1005 && status != 1006 &&
            status != 1015));
    if (*bits & FRAME_CLOSE_SENT)
        return false;
    if (status != 0) {
        payload[n++] = (char)(status >> 8);
        payload[n++] = (char)status;
        size_t len = reason ? strlen(reason) : 0;
        if (len > FRAME_REASON_MAX) {
            len = FRAME_REASON_MAX;
            while (len > 0 && ((unsigned char)reason[len] & 0xc0) == 0x80)
                len--;
        }
        if (len > 0) /* NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
            memcpy(payload + n, reason, len); /* a frame has a length */
        n += len;
    }
    if (!put(out, FRAME_CLOSE, 0, payload, n))
        return false;
    *bits |= FRAME_CLOSE_SENT;
    return true;
}

static bool
refuse(struct frame_in *f, int status, const char *why)
{
    f->status = status;
    f->why = why;
    return false;
}

bool
frame_read(struct frame_in *f, const uint8_t *p, size_t n, bool open,
    bool deflate, uint64_t room)
{
    *f = (struct frame_in){
        .opcode = p[0] & 0x0f, .fin = p[0] & 0x80, .compressed = p[0] & RSV1};
    bool control = f->opcode & 0x08;

    /* RSV1 is allowed only on the first frame of a message (RFC 7692 section
       6.1). */
    if ((p[0] & 0x30) ||
        (f->compressed &&
            (!deflate || control || f->opcode == FRAME_CONTINUATION)))
        return refuse(f, FRAME_STATUS_PROTOCOL, "reserved bit set");
    if ((f->opcode & 0x07) > 2)
        return refuse(f, FRAME_STATUS_PROTOCOL, "unknown opcode");
    if (control && !f->fin)
        return refuse(f, FRAME_STATUS_PROTOCOL, "fragmented control frame");
    if (!control && open && f->opcode != FRAME_CONTINUATION)
        return refuse(
            f, FRAME_STATUS_PROTOCOL, "new message inside a fragmented one");
    if (!open && f->opcode == FRAME_CONTINUATION)
        return refuse(f, FRAME_STATUS_PROTOCOL, "continuation of nothing");
    if (n < 2)
        return true;

    uint64_t len = p[1] & 0x7f;
    size_t   ext = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (!(p[1] & 0x80))
        return refuse(f, FRAME_STATUS_PROTOCOL, "frame not masked");
    if (control && ext > 0)
        return refuse(f, FRAME_STATUS_PROTOCOL, "control frame too long");
    if (n < 2 + ext)
        return true;
    if (ext > 0) {
        len = 0;
        for (size_t i = 0; i < ext; i++)
            len = len << 8 | p[2 + i];
        if (len < 126 || (ext == 8 && (len <= 0xffff || len >> 63)))
            return refuse(
                f, FRAME_STATUS_PROTOCOL, "length not in its shortest form");
    }
    f->payload = len;
    if (!control && len > room)
        return refuse(f, FRAME_STATUS_TOO_BIG, "message too big");
    if (n < 2 + ext + 4)
        return true;
    f->head = 2 + ext + 4;
    f->payload = len;
    return true;
}
