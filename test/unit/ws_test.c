/*
 * Frames in and out: by single facts, and by many random conversations cut
 * into random pieces, with leases that wander between two connections.
 */
#include "ws.h"

#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "unit.h"

#define CONVERSATIONS 12000
#define MAX_MESSAGE 3000

static uint64_t seed = 88172645463325252u;

static unsigned
dice(unsigned sides) /* xorshift64; 0 .. sides - 1 */
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 11) % sides;
}

/* --- a connection, and what it was told ------------------------------------ */

struct side {
    uint8_t    bits;
    struct ws *ws;
    struct buf heard; /* what came up, in words */
    struct buf out;
    bool       dead;  /* up-calls answer false */
};

static void
note(struct buf *b, char kind, const void *data, size_t len)
{
    buf_addf(b, "%c%zu:", kind, len);
    buf_add(b, data, len);
    buf_addc(b, '\n');
}

bool
up_message(void *owner, enum frame_opcode opcode, const char *data, size_t len)
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

/* What a connection does after each read. */
static void
settle(struct side *s)
{
    CHECK(ws_output(s->ws, &s->out));
    if (ws_clean(s->ws)) {
        ws_return(s->ws);
        s->ws = NULL;
    }
}

/* --- a client's frames ----------------------------------------------------- */

static void
put_frame(struct buf *b, unsigned first, const void *data, size_t len)
{
    uint8_t head[FRAME_HEAD_IN];
    size_t n = frame_head(head, FRAME_TEXT, len);
    uint8_t mask[4];

    head[0] = (uint8_t)first;
    head[1] |= 0x80;
    for (int i = 0; i < 4; i++)
        head[n++] = mask[i] = (uint8_t)dice(256);
    buf_add(b, head, n);
    for (size_t i = 0; i < len; i++)
        buf_addc(b, (char)(((const uint8_t *)data)[i] ^ mask[i % 4]));
}

#define FIN 0x80u

/* --- single facts ---------------------------------------------------------- */

static struct side one;
static struct buf  in = BUF_INIT(1 << 20);

static void
begin(void)
{
    side_close(&one);
    side_open(&one);
    buf_clear(&in);
}

static enum ws_result
say(void)
{
    enum ws_result r = input(&one, in.p, in.len);

    buf_clear(&in);
    return r;
}

/* Exactly one close frame with this status lies at the end of the output. */
static bool
closes_with(struct side *s, int status)
{
    const uint8_t *p = (const uint8_t *)s->out.p;
    size_t at = 0;

    while (at + 2 <= s->out.len && p[at] == (FIN | FRAME_PONG))
        at += 2u + p[at + 1];
    if (status == FRAME_STATUS_NONE)
        return s->out.len == at + 2 && p[at] == (FIN | FRAME_CLOSE) &&
               p[at + 1] == 0;
    return s->out.len == at + 4 && p[at] == (FIN | FRAME_CLOSE) &&
           p[at + 1] == 2 && (p[at + 2] << 8 | p[at + 3]) == status;
}

static void
a_message_comes_up(void)
{
    begin();
    put_frame(&in, FIN | FRAME_TEXT, "hello", 5);
    put_frame(&in, FIN | FRAME_BINARY, "\0\xff", 2);
    put_frame(&in, FIN | FRAME_TEXT, "", 0);
    CHECK_EQ(say(), WS_GO_ON);
    CHECK_EQ(one.heard.len, sizeof "t5:hello\nb2:\0\xff\nt0:\n" - 1);
    CHECK(memcmp(one.heard.p, "t5:hello\nb2:\0\xff\nt0:\n", one.heard.len) ==
          0);
    CHECK(ws_clean(one.ws));
    CHECK_EQ(ws_status(one.ws), 0);
    CHECK(ws_why(one.ws) == NULL);
    settle(&one);
    CHECK(one.ws == NULL);
    CHECK_EQ(one.out.len, 0);
}

static void
refusals_name_the_fault(void)
{
    static const struct {
        unsigned first;
        const char *data;
        size_t len;
        int status;
    } table[] = {
        {FIN | 0x40 | FRAME_TEXT, "x", 1, 1002},
        {FIN | 0x10 | FRAME_PING, "", 0, 1002},
        {FIN | 3, "x", 1, 1002},
        {FIN | 11, "", 0, 1002},
        {FIN | FRAME_CONTINUATION, "x", 1, 1002},
        {FRAME_PING, "x", 1, 1002},
        {FIN | FRAME_TEXT, "\xff", 1, 1007},
        {FIN | FRAME_TEXT, "\xe2\x82", 2, 1007},
        {FIN | FRAME_CLOSE, "\x03", 1, 1002},
        {FIN | FRAME_CLOSE, "\x03\xed", 2, 1002},          /* 1005 */
        {FIN | FRAME_CLOSE, "\x03\xe8\xff", 3, 1007},      /* 1000 */
        {FIN | FRAME_CLOSE, "\x03\xe8\xe2\x82", 4, 1007},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        begin();
        put_frame(&in, FIN | FRAME_PING, "p", 1);
        put_frame(&in, table[i].first, table[i].data, table[i].len);
        put_frame(&in, FIN | FRAME_TEXT, "behind it", 9);
        CHECK_EQ(say(), WS_FAILED);
        CHECK_EQ(ws_status(one.ws), table[i].status);
        CHECK(ws_why(one.ws) != NULL);
        CHECK(!ws_clean(one.ws));
        settle(&one);
        CHECK(closes_with(&one, table[i].status));
        CHECK_EQ(one.heard.len, 0);
        put_frame(&in, FIN | FRAME_TEXT, "still there?", 12);
        CHECK_EQ(say(), WS_FAILED);
        settle(&one);
        CHECK(closes_with(&one, table[i].status));
        CHECK(!frame_put(&one.out, &one.bits, FRAME_TEXT, "x", 1));
    }
}

static void
too_much_is_refused_when_announced(void)
{
    char data[MAX_MESSAGE] = {0};

    begin();
    put_frame(&in, FIN | FRAME_BINARY, data, MAX_MESSAGE);
    CHECK_EQ(say(), WS_GO_ON);
    put_frame(&in, FRAME_BINARY, data, MAX_MESSAGE - 1);
    put_frame(&in, FRAME_CONTINUATION, data, 1);
    put_frame(&in, FRAME_CONTINUATION, data, 0);
    CHECK_EQ(say(), WS_GO_ON);
    CHECK(!ws_clean(one.ws));
    CHECK_EQ(input(&one, "\x80\x81", 2), WS_FAILED); /* one byte, no mask yet */
    CHECK_EQ(ws_status(one.ws), 1009);
    settle(&one);
    CHECK(closes_with(&one, 1009));
    begin();
    CHECK_EQ(input(&one, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 9),
             WS_GO_ON);
    CHECK_EQ(input(&one, "\xff", 1), WS_FAILED);
    CHECK_EQ(ws_status(one.ws), 1009);
    begin();
    CHECK_EQ(input(&one, "\x82\x05", 2), WS_FAILED); /* no mask */
    CHECK_EQ(ws_status(one.ws), 1002);
}

static void
a_close_is_answered_once(void)
{
    begin();
    put_frame(&in, FIN | FRAME_CLOSE, "\x0f\xa0" "bye", 5);
    put_frame(&in, FIN | FRAME_CLOSE, "\x03\xe8", 2);
    put_frame(&in, FIN | FRAME_PING, "", 0);
    CHECK_EQ(say(), WS_CLOSED);
    CHECK_STR(buf_cstr(&one.heard), "4000 c3:bye\n");
    settle(&one);
    CHECK(closes_with(&one, 4000));
    CHECK(!frame_put_close(&one.out, &one.bits, 1008, NULL));
    CHECK_EQ(one.bits, FRAME_CLOSE_SENT | FRAME_CLOSE_RECEIVED);

    begin();
    put_frame(&in, FIN | FRAME_CLOSE, "", 0);
    CHECK_EQ(say(), WS_CLOSED);
    CHECK_STR(buf_cstr(&one.heard), "1005 c0:\n");
    settle(&one);
    CHECK(closes_with(&one, FRAME_STATUS_NONE));
}

static void
after_our_close_we_listen_but_say_nothing(void)
{
    begin();
    put_frame(&in, FIN | FRAME_PING, "early", 5);
    CHECK_EQ(say(), WS_GO_ON);
    CHECK(frame_put_close(&one.out, &one.bits, 1001, NULL));
    put_frame(&in, FIN | FRAME_TEXT, "late", 4);
    put_frame(&in, FIN | FRAME_PING, "", 0);
    CHECK_EQ(say(), WS_GO_ON);
    CHECK(ws_output(one.ws, &one.out));
    CHECK(closes_with(&one, 1001));
    CHECK(ws_clean(one.ws));
    settle(&one);
    put_frame(&in, FIN | FRAME_CLOSE, "\x03\xe9", 2);
    CHECK_EQ(say(), WS_CLOSED);
    settle(&one);
    CHECK(closes_with(&one, 1001));
    CHECK_STR(buf_cstr(&one.heard), "t4:late\n1001 c0:\n");

    begin();
    CHECK(frame_put_close(&one.out, &one.bits, 1001, NULL));
    put_frame(&in, FIN | FRAME_TEXT, "\xff", 1);
    CHECK_EQ(say(), WS_FAILED);
    settle(&one);
    CHECK(closes_with(&one, 1001));
}

static void
an_up_call_can_stop_it(void)
{
    begin();
    one.dead = true;
    put_frame(&in, FIN | FRAME_TEXT, "a", 1);
    put_frame(&in, FIN | FRAME_TEXT, "b", 1);
    CHECK_EQ(say(), WS_STOPPED);
    CHECK_STR(buf_cstr(&one.heard), "t1:a\n");
    CHECK(!ws_clean(one.ws));
    put_frame(&in, FIN | FRAME_TEXT, "c", 1);
    CHECK_EQ(say(), WS_STOPPED);
    CHECK_STR(buf_cstr(&one.heard), "t1:a\n");
}

static void
a_flood_of_pings_costs_little(void)
{
    char payload[FRAME_CONTROL_MAX + 1] = {0};

    begin();
    buf_reserve(&one.out, 8192);
    one.out.len = 4096; /* a peer that does not read */
    for (int i = 0; i < 5000; i++) {
        memset(payload, 'a' + i % 26, FRAME_CONTROL_MAX);
        put_frame(&in, FIN | FRAME_PING, payload, FRAME_CONTROL_MAX);
        CHECK_EQ(say(), WS_GO_ON);
        CHECK(ws_output(one.ws, &one.out));
    }
    CHECK_EQ(one.out.len, 4096);
    CHECK(!ws_clean(one.ws));
    one.out.len = 0;
    CHECK(ws_output(one.ws, &one.out));
    CHECK(one.out.len > 0 && one.out.len <= 2048);
    CHECK_EQ(one.out.len % (FRAME_CONTROL_MAX + 2), 0);
    CHECK(memcmp(one.out.p + one.out.len - FRAME_CONTROL_MAX, payload,
                 FRAME_CONTROL_MAX) == 0); /* the latest is answered */
    CHECK(ws_clean(one.ws));
}

static void
frames_go_out(void)
{
    static char data[70000];
    struct buf b = BUF_INIT(100000);
    uint8_t bits = 0;
    uint8_t head[FRAME_HEAD_OUT];

    CHECK(frame_put(&b, &bits, FRAME_TEXT, "hello", 5));
    CHECK_EQ(b.len, 7);
    CHECK(memcmp(b.p, "\x81\x05hello", 7) == 0);
    CHECK_EQ(frame_head(head, FRAME_BINARY, 125), 2);
    CHECK_EQ(frame_head(head, FRAME_BINARY, 126), 4);
    CHECK(memcmp(head, "\x82\x7e\x00\x7e", 4) == 0);
    CHECK_EQ(frame_head(head, FRAME_BINARY, 65535), 4);
    CHECK_EQ(frame_head(head, FRAME_BINARY, 65536), 10);
    CHECK(memcmp(head, "\x82\x7f\0\0\0\0\0\1\0\0", 10) == 0);
    buf_clear(&b);
    CHECK(frame_put(&b, &bits, FRAME_TEXT, data, sizeof data));
    CHECK_EQ(b.len, sizeof data + 10);
    CHECK(!frame_put(&b, &bits, FRAME_TEXT, data, sizeof data)); /* full */
    CHECK_EQ(b.len, sizeof data + 10);

    buf_clear(&b);
    memset(data, 'r', 200);
    memcpy(data + 121, "\xe2\x82\xac", 3); /* would be cut in two */
    CHECK(frame_put_close(&b, &bits, 1008, data));
    CHECK_EQ(b.len, 2 + 2 + 121);
    CHECK(memcmp(b.p, "\x88\x7b\x03\xf0r", 5) == 0);
    CHECK_EQ(bits, FRAME_CLOSE_SENT);
    CHECK(!frame_put_close(&b, &bits, 1008, "again"));
    CHECK(!frame_put(&b, &bits, FRAME_PING, NULL, 0));
    CHECK_EQ(b.len, 2 + 2 + 121);
    bits = 0;
    buf_clear(&b);
    CHECK(frame_put_close(&b, &bits, 0, "never said"));
    CHECK_EQ(b.len, 2);
    buf_free(&b);
}

static void
the_pool_keeps_what_it_may(void)
{
    struct ws *ws[8];
    uint8_t bits = 0;

    begin();
    ws_pool_keep(0);
    ws_pool_keep(3);
    CHECK_EQ(ws_pool_idle(), 0);
    for (int i = 0; i < 8; i++)
        ws[i] = ws_borrow(&one, &bits, 100);
    CHECK_EQ(ws_pool_lent(), 8);
    for (int i = 0; i < 8; i++)
        ws_return(ws[i]);
    CHECK_EQ(ws_pool_lent(), 0);
    CHECK_EQ(ws_pool_idle(), 3);
    ws_pool_keep(1);
    CHECK_EQ(ws_pool_idle(), 1);
    ws[0] = ws_borrow(&one, &bits, 100);
    CHECK_EQ(ws_pool_idle(), 0);
    CHECK_EQ(ws_input(ws[0], (const uint8_t *)"\x81", 1), WS_GO_ON);
    ws_return(ws[0]); /* in the middle of a frame: not for others */
    CHECK_EQ(ws_pool_idle(), 0);
}

/* --- random conversations --------------------------------------------------- */

/* One side's whole input with, for each byte offset, what must be true once
 * that many bytes are in. */
struct script {
    struct buf bytes;
    struct buf heard;     /* what has to come up */
    struct buf pongs;     /* what has to be answered */
    bool       clean[1 << 16];
    int        status;    /* of the close frame that ends it; 0: none */
    size_t     at;        /* bytes given so far */
    bool       done;
};

static size_t
random_text(char *p, size_t max)
{
    static const char *const some[] = {"a", "[2,\"19\",", "\xc3\xbc",
                                       "\xe2\x82\xac", "\xf0\x9f\x9a\x97"};
    size_t n = 0, want = dice(4) ? dice(60) : dice((unsigned)max - 10);

    while (n < want) {
        const char *s = some[dice(5)];
        memcpy(p + n, s, strlen(s));
        n += strlen(s);
    }
    return n > max ? 0 : n;
}

/* Until the end of the last frame, byte by byte: not clean; at its end, as
 * said. */
static void
mark(struct script *s, size_t from, bool clean_after)
{
    for (size_t i = from + 1; i < s->bytes.len; i++)
        s->clean[i] = false;
    s->clean[s->bytes.len] = clean_after;
}

static void
control(struct script *s, bool open)
{
    char p[FRAME_CONTROL_MAX];
    size_t n = dice(3) ? dice(8) : dice(FRAME_CONTROL_MAX + 1);
    size_t from = s->bytes.len;

    for (size_t i = 0; i < n; i++)
        p[i] = (char)dice(256);
    if (dice(2)) {
        put_frame(&s->bytes, FIN | FRAME_PING, p, n);
        frame_put(&s->pongs, &(uint8_t){0}, FRAME_PONG, p, n);
    } else {
        put_frame(&s->bytes, FIN | FRAME_PONG, p, n);
        note(&s->heard, 'o', p, n);
    }
    mark(s, from, !open);
}

static void
message(struct script *s)
{
    static char p[MAX_MESSAGE];
    bool text = dice(3);
    size_t n = text ? random_text(p, sizeof p) : dice(200);
    unsigned op = text ? FRAME_TEXT : FRAME_BINARY;
    size_t at = 0;

    if (!text)
        for (size_t i = 0; i < n; i++)
            p[i] = (char)dice(256);
    unsigned frames = dice(2) ? 1 : 1 + dice(6);
    for (unsigned i = 0; i < frames; i++) {
        bool last = i == frames - 1;
        size_t part = last ? n - at : dice((unsigned)(n - at) + 1);
        size_t from = s->bytes.len;
        put_frame(&s->bytes, (last ? FIN : 0) | (i ? 0 : op), p + at, part);
        mark(s, from, last);
        at += part;
        while (!last && dice(3) == 0)
            control(s, true);
    }
    note(&s->heard, text ? 't' : 'b', p, n);
}

/* How a conversation ends: it may just stay, close, or go wrong. */
static void
ending(struct script *s)
{
    size_t from = s->bytes.len;
    char big[MAX_MESSAGE + 1] = {0};

    switch (dice(8)) {
    case 0:
        put_frame(&s->bytes, FIN | FRAME_CLOSE, "\x03\xe8" "Auf "
                  "W\xc3\xb6" "lke \xf0\x9f\x9a\x97", 17);
        buf_addf(&s->heard, "1000 ");
        note(&s->heard, 'c', "Auf W\xc3\xb6" "lke \xf0\x9f\x9a\x97", 15);
        s->status = 1000;
        break;
    case 1:
        put_frame(&s->bytes, FIN | FRAME_CLOSE, "\x03\xe8\xc3\xb6\xc3", 5);
        s->status = 1007;
        break;
    case 2:
        put_frame(&s->bytes, FIN | FRAME_TEXT, "ok \xed\xa0\x80 ok", 9);
        s->status = 1007;
        break;
    case 3:
        put_frame(&s->bytes, FIN | FRAME_CONTINUATION, "x", 1);
        s->status = 1002;
        break;
    case 4:
        put_frame(&s->bytes, FIN | FRAME_BINARY, big, sizeof big);
        s->status = 1009;
        break;
    default:
        return;
    }
    mark(s, from, false);
    buf_add(&s->bytes, big, 50); /* nobody must look at this */
    mark(s, from, false);
}

static void
write_script(struct script *s)
{
    buf_clear(&s->bytes);
    buf_clear(&s->heard);
    buf_clear(&s->pongs);
    s->status = 0;
    s->at = 0;
    s->done = false;
    s->clean[0] = true;
    for (unsigned n = dice(8); n > 0; n--) {
        if (dice(3))
            message(s);
        else
            control(s, false);
    }
    ending(s);
}

/* Gives a random piece; false once the conversation is over. */
static bool
step(struct script *s, struct side *side)
{
    size_t left = s->bytes.len - s->at;
    size_t n = dice(3) == 0 ? 1 : dice(2) ? 1 + dice(12) : 1 + dice(4096);

    if (left == 0 || s->done)
        return false;
    if (n > left)
        n = left;
    /* Exactly n bytes on the heap: a look beyond them is found out. */
    char *piece = malloc(n);
    memcpy(piece, s->bytes.p + s->at, n);
    enum ws_result r = input(side, piece, n);
    free(piece);
    s->at += n;
    CHECK(ws_output(side->ws, &side->out));
    if (r == WS_GO_ON) {
        CHECK_EQ(ws_clean(side->ws), s->clean[s->at]);
    } else {
        CHECK(!ws_clean(side->ws));
        CHECK(s->status != 0);
        CHECK_EQ(ws_status(side->ws), r == WS_FAILED ? s->status : 0);
        s->done = true;
    }
    settle(side);
    return true;
}

static void
judge(struct script *s, struct side *side)
{
    CHECK_EQ(side->heard.len, s->heard.len);
    CHECK(side->heard.len == s->heard.len &&
          (s->heard.len == 0 ||
           memcmp(side->heard.p, s->heard.p, s->heard.len) == 0));
    if (s->status) {
        CHECK(s->done);
        CHECK(closes_with(side, s->status));
    } else {
        CHECK(side->ws == NULL);
        CHECK(side->out.len == s->pongs.len &&
              (s->pongs.len == 0 ||
               memcmp(side->out.p, s->pongs.p, s->pongs.len) == 0));
    }
}

static void
random_conversations(void)
{
    static struct script script[2];
    struct side side[2];

    for (int i = 0; i < 2; i++)
        script[i].bytes = script[i].heard = script[i].pongs =
            BUF_INIT(1 << 16);
    /* A pool of one: with two connections in turn, the same context comes
     * back to the other side again and again. */
    ws_pool_keep(1);
    for (int round = 0; round < CONVERSATIONS / 2; round++) {
        for (int i = 0; i < 2; i++) {
            write_script(&script[i]);
            CHECK(!script[i].bytes.overflow);
            side_open(&side[i]);
        }
        bool go[2] = {true, true};
        while (go[0] || go[1]) {
            unsigned i = dice(2);
            if (go[i])
                go[i] = step(&script[i], &side[i]);
        }
        for (int i = 0; i < 2; i++) {
            judge(&script[i], &side[i]);
            side_close(&side[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        buf_free(&script[i].bytes);
        buf_free(&script[i].heard);
        buf_free(&script[i].pongs);
    }
}

int
main(void)
{
    ws_pool_keep(4);
    side_open(&one);
    a_message_comes_up();
    refusals_name_the_fault();
    too_much_is_refused_when_announced();
    a_close_is_answered_once();
    after_our_close_we_listen_but_say_nothing();
    an_up_call_can_stop_it();
    a_flood_of_pings_costs_little();
    frames_go_out();
    the_pool_keeps_what_it_may();
    random_conversations();
    side_close(&one);
    buf_free(&in);
    ws_pool_keep(0);
    CHECK_EQ(ws_pool_lent(), 0);
    CHECK_EQ(ws_pool_idle(), 0);
    return unit_done();
}
