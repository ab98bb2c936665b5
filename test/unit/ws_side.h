/*
 * ws_side: the client and the connection that ws_test and ws_random_test
 * share.
 */
#ifndef TEST_UNIT_WS_SIDE_H
#define TEST_UNIT_WS_SIDE_H

#include <stdlib.h>
#include <string.h>

#include "net/frame.h"
#include "net/ws.h"
#include "unit.h"

#define MAX_MESSAGE 3000
#define FIN 0x80u

static uint64_t seed = 88172645463325252u;

static unsigned
dice(unsigned sides) /* xorshift64; 0 .. sides - 1 */
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 11) % sides;
}

/* --- a connection, and what it has received ------------------------------- */

struct side {
    uint8_t    bits;
    struct ws *ws;
    struct buf heard; /* the received messages, as text */
    struct buf out;
    bool       dead; /* the functions that are called return false */
};

static void
note(struct buf *b, char kind, const void *data, size_t len)
{
    buf_addf(b, "%c%zu:", kind, len);
    buf_add(b, data, len);
    buf_addc(b, '\n');
}

void
up_inflated(void *owner, size_t len)
{
    (void)owner, (void)len;
}

bool
up_message(void *owner, unsigned opcode, const char *data, size_t len)
{
    struct side *s = owner;

    note(&s->heard, opcode == FRAME_TEXT ? 't' : 'b', data, len);
    return !s->dead;
}

bool
up_pong(void *owner, const uint8_t *data, size_t len)
{
    struct side *s = owner;

    note(&s->heard, 'o', data, len);
    return !s->dead;
}

void
up_close(void *owner, int status, const char *reason, size_t len)
{
    struct side *s = owner;

    buf_addf(&s->heard, "%d ", status);
    note(&s->heard, 'c', reason, len);
}

static void
side_open(struct side *s)
{
    memset(s, 0, sizeof *s);
    s->heard = BUF_INIT(1 << 20);
    s->out = BUF_INIT(1 << 20);
}

static void
side_close(struct side *s)
{
    if (s->ws)
        ws_return(s->ws);
    buf_free(&s->heard);
    buf_free(&s->out);
}

static enum ws_result
input(struct side *s, const void *p, size_t n)
{
    if (s->ws == NULL)
        s->ws = ws_borrow(s, &s->bits, MAX_MESSAGE);
    return ws_input(s->ws, p, n);
}

/* Does the work of a connection after each read. */
static void
settle(struct side *s)
{
    CHECK(ws_output(s->ws, &s->out));
    if (ws_clean(s->ws)) {
        ws_return(s->ws);
        s->ws = NULL;
    }
}

/* --- a client's frames --------------------------------------------------- */

static void
put_frame(struct buf *b, unsigned first, const void *data, size_t len)
{
    uint8_t head[FRAME_HEAD_IN];
    size_t  n = frame_head(head, FRAME_TEXT, len);
    uint8_t mask[4];

    head[0] = (uint8_t)first;
    head[1] |= 0x80;
    for (int i = 0; i < 4; i++)
        head[n++] = mask[i] = (uint8_t)dice(256);
    buf_add(b, head, n);
    for (size_t i = 0; i < len; i++)
        buf_addc(b, (char)(((const uint8_t *)data)[i] ^ mask[i % 4]));
}

/* Returns true if the output ends with exactly one close frame, which has this
 * status. */
static bool
closes_with(struct side *s, int status)
{
    const uint8_t *p = (const uint8_t *)s->out.p;
    size_t         at = 0;

    while (at + 2 <= s->out.len && p[at] == (FIN | FRAME_PONG))
        at += 2u + p[at + 1];
    if (status == FRAME_STATUS_NONE)
        return s->out.len == at + 2 && p[at] == (FIN | FRAME_CLOSE) &&
            p[at + 1] == 0;
    return s->out.len == at + 4 && p[at] == (FIN | FRAME_CLOSE) &&
        p[at + 1] == 2 && (p[at + 2] << 8 | p[at + 3]) == status;
}

#endif
