/*
 * Random conversations in random pieces. Two connections use the same WebSocket
 * contexts in turn. After every piece, the test compares the received messages,
 * the answers, and whether the context is clean, with the expected ones.
 * Sometimes a context that is not clean is written as a record, from which
 * another context is made.
 */
#include "fields.h"
#include "ws_side.h"

#define CONVERSATIONS 12000

/* The whole input of one side. clean[n]: whether the context must be clean
 * after n bytes. */
struct script {
    struct buf bytes;
    struct buf heard; /* the messages that must be received */
    struct buf pongs; /* the pongs that must be sent */
    bool       clean[1 << 16];
    int    status; /* status of the close frame that must be sent; 0: none */
    size_t at;     /* bytes that were read so far */
    bool   done;
};

static size_t
random_text(char *p, size_t max)
{
    static const char *const some[] = {
        "a", "[2,\"19\",", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x9a\x97"};
    size_t n = 0, want = dice(4) ? dice(60) : dice((unsigned)max - 10);

    while (n < want) {
        const char *s = some[dice(5)];
        memcpy(p + n, s, strlen(s));
        n += strlen(s);
    }
    return n > max ? 0 : n;
}

/* Marks the bytes of a frame: the context is not clean inside it, and at its
 * end according to clean_after. */
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
    char   p[FRAME_CONTROL_MAX];
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
    bool        text = dice(3);
    size_t      n = text ? random_text(p, sizeof p) : dice(200);
    unsigned    op = text ? FRAME_TEXT : FRAME_BINARY;
    size_t      at = 0;

    if (!text)
        for (size_t i = 0; i < n; i++)
            p[i] = (char)dice(256);
    unsigned frames = dice(2) ? 1 : 1 + dice(6);
    for (unsigned i = 0; i < frames; i++) {
        bool   last = i == frames - 1;
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

/* Appends the end of a conversation: it continues, is closed, or has an error.
 */
static void
ending(struct script *s)
{
    size_t from = s->bytes.len;
    char   big[MAX_MESSAGE + 1] = {0};

    switch (dice(8)) {
    case 0:
        put_frame(&s->bytes, FIN | FRAME_CLOSE,
            "\x03\xe8"
            "Auf "
            "W\xc3\xb6"
            "lke \xf0\x9f\x9a\x97",
            17);
        buf_addf(&s->heard, "1000 ");
        note(&s->heard, 'c',
            "Auf W\xc3\xb6"
            "lke \xf0\x9f\x9a\x97",
            15);
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
    buf_add(
        &s->bytes, big, 50); /* the bytes after the error must not be read */
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

static void
move(struct side *side)
{
    struct buf    line = BUF_INIT(1 << 20);
    struct fields f;

    fields_begin(&line, "conn");
    CHECK(ws_write(side->ws, &line));
    fields_end(&line);
    ws_return(side->ws);
    side->ws = ws_borrow(side, &side->bits, MAX_MESSAGE);
    CHECK(fields_parse(&f, line.p, line.len));
    CHECK(ws_recorded(&f) && ws_read(side->ws, &f) && f.bad == NULL);
    CHECK(!ws_clean(side->ws));
    buf_free(&line);
}

/* Feeds a random piece. Returns false at the end of the conversation. */
static bool
step(struct script *s, struct side *side)
{
    size_t left = s->bytes.len - s->at;
    size_t n = dice(3) == 0 ? 1 : dice(2) ? 1 + dice(12) : 1 + dice(4096);

    if (left == 0 || s->done)
        return false;
    if (n > left)
        n = left;
    /* A heap block of exactly n bytes, so that a sanitizer detects an access
     * beyond them. */
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
    if (side->ws != NULL && r == WS_GO_ON && dice(4) == 0)
        move(side);
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
    struct side          side[2];

    for (int i = 0; i < 2; i++)
        script[i].bytes = script[i].heard = script[i].pongs = BUF_INIT(1 << 16);
    /* The pool keeps one context: when two connections take turns, each gets
     * the context that the other one has returned. */
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
    random_conversations();
    ws_pool_keep(0);
    CHECK_EQ(ws_pool_lent(), 0);
    CHECK_EQ(ws_pool_idle(), 0);
    return unit_done();
}
