/* WebSocket frames that are read and written, by each rule. */
#include "ws_side.h"

/* --- single rules --------------------------------------------------------- */

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

static void
a_message_comes_up(void)
{
    begin();
    put_frame(&in, FIN | FRAME_TEXT, "hello", 5);
    put_frame(&in, FIN | FRAME_BINARY, "\0\xff", 2);
    put_frame(&in, FIN | FRAME_TEXT, "", 0);
    CHECK_EQ(say(), WS_GO_ON);
    CHECK_EQ(one.heard.len, sizeof "t5:hello\nb2:\0\xff\nt0:\n" - 1);
    CHECK(
        memcmp(one.heard.p, "t5:hello\nb2:\0\xff\nt0:\n", one.heard.len) == 0);
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
        unsigned    first;
        const char *data;
        size_t      len;
        int         status;
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
        {FIN | FRAME_CLOSE, "\x03\xed", 2, 1002},     /* 1005 */
        {FIN | FRAME_CLOSE, "\x03\xe8\xff", 3, 1007}, /* 1000 */
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
    CHECK_EQ(input(&one, "\x80\x81", 2),
        WS_FAILED); /* one byte, and the mask is still missing */
    CHECK_EQ(ws_status(one.ws), 1009);
    settle(&one);
    CHECK(closes_with(&one, 1009));
    begin();
    CHECK_EQ(
        input(&one, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 9), WS_GO_ON);
    CHECK_EQ(input(&one, "\xff", 1), WS_FAILED);
    CHECK_EQ(ws_status(one.ws), 1009);
}

static void
a_fault_in_the_header_needs_no_payload(void)
{
    static const char *const heads[] = {
        "\xc1", "\x83", "\x8b", "\x09",
        "\x80", /* invalid because of the first byte */
        "\x81\x05",
        "\x89\xfe", /* invalid because of the second: no mask, or a long ping */
    };

    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        begin();
        CHECK_EQ(input(&one, heads[i], strlen(heads[i])), WS_FAILED);
        CHECK_EQ(ws_status(one.ws), 1002);
        settle(&one);
        CHECK(closes_with(&one, 1002));
    }
    begin();
    CHECK_EQ(input(&one, "\x81\xfe\x00\x7d", 4), WS_FAILED); /* 125 */
    CHECK_EQ(ws_status(one.ws), 1002);
    begin();
    CHECK_EQ(input(&one, "\x81\xff\0\0\0\0\0\0\xff\xff", 10), WS_FAILED);
    CHECK_EQ(ws_status(one.ws), 1002);
}

static void
a_close_is_answered_once(void)
{
    begin();
    put_frame(&in, FIN | FRAME_CLOSE,
        "\x0f\xa0"
        "bye",
        5);
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
    one.out.len = 4096; /* a peer that does not read its pongs */
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
              FRAME_CONTROL_MAX) == 0); /* only the latest ping is answered */
    CHECK(ws_clean(one.ws));
}

static void
frames_go_out(void)
{
    static char data[70000];
    struct buf  b = BUF_INIT(100000);
    uint8_t     bits = 0;
    uint8_t     head[FRAME_HEAD_OUT];

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
    CHECK(!frame_put(&b, &bits, FRAME_TEXT, data,
        sizeof data)); /* the frame fills the buffer */
    CHECK_EQ(b.len, sizeof data + 10);

    buf_clear(&b);
    memset(data, 'r', 200);
    memcpy(data + 121, "\xe2\x82\xac",
        3); /* the text would be cut within a character */
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
    uint8_t    bits = 0;

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
    ws_return(ws[0]); /* the context is in the middle of a frame, so no other
                         connection may use it */
    CHECK_EQ(ws_pool_idle(), 0);
}

/* Every first byte of a frame, with the result by RFC 6455 section 5.2 and RFC
 * 7692 section 6. */
static bool
may_begin(unsigned b, bool open, bool deflate)
{
    unsigned opcode = b & 0x0f;
    bool     fin = b & 0x80, rsv1 = b & 0x40, rest = b & 0x30;

    switch (opcode) {
    case 0: /* continuation */
        return open && !rsv1 && !rest;
    case 1: /* text */
    case 2: /* binary */
        return !open && (deflate || !rsv1) && !rest;
    case 8:  /* close */
    case 9:  /* ping */
    case 10: /* pong */
        return fin && !rsv1 && !rest;
    default:
        return false;
    }
}

static void
first_bytes_of_frames(void)
{
    for (unsigned i = 0; i < 1024; i++) {
        const uint8_t   p[] = {(uint8_t)i};
        bool            open = i & 0x100, deflate = i & 0x200;
        struct frame_in h;
        char            name[64];

        snprintf(name, sizeof name, "%02x%s%s", i & 0xff,
            open ? " in an open message" : "", deflate ? " with deflate" : "");
        UNIT_CASE(name);
        bool good = frame_read(&h, p, 1, open, deflate, 1000);
        CHECK_EQ(good, may_begin(i & 0xff, open, deflate));
        if (!good)
            CHECK_EQ(h.status, FRAME_STATUS_PROTOCOL);
        CHECK_EQ(h.head, 0);
    }
    UNIT_CASE("");
}

/* Frames of all lengths must have the shortest form of the length, and a mask.
 */
static void
lengths_of_frames(void)
{
    static const struct {
        const char *name, *bytes;
        size_t      n;
        int         status;
        uint64_t    payload;
    } rows[] = {
#define ROW(name, b, status, payload)                                          \
    {name, b "MASK", sizeof b "MASK" - 1, status, payload}
        ROW("0", "\x81\x80", 0, 0),
        ROW("125", "\x81\xfd", 0, 125),
        ROW("126", "\x81\xfe\x00\x7e", 0, 126),
        ROW("1000", "\x81\xfe\x03\xe8", 0, 1000),
        ROW("1001", "\x81\xfe\x03\xe9", FRAME_STATUS_TOO_BIG, 1001),
        ROW("125 in two bytes", "\x81\xfe\x00\x7d", FRAME_STATUS_PROTOCOL, 0),
        ROW("65535 in eight bytes", "\x81\xff\0\0\0\0\0\0\xff\xff",
            FRAME_STATUS_PROTOCOL, 0),
        ROW("65536", "\x81\xff\0\0\0\0\0\x01\0\0", FRAME_STATUS_TOO_BIG, 65536),
        ROW("the highest", "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
            FRAME_STATUS_TOO_BIG, INT64_MAX),
        ROW("one more", "\x81\xff\x80\0\0\0\0\0\0\0", FRAME_STATUS_PROTOCOL, 0),
        ROW("a control frame of 125", "\x89\xfd", 0, 125),
        ROW("a control frame of 126", "\x89\xfe\x00\x7e", FRAME_STATUS_PROTOCOL,
            0),
        ROW("without a mask", "\x81\x05", FRAME_STATUS_PROTOCOL, 0),
#undef ROW
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint8_t  *p = (const uint8_t *)rows[i].bytes;
        struct frame_in h;

        UNIT_CASE(rows[i].name);
        bool good = frame_read(&h, p, rows[i].n, false, false, 1000);
        CHECK_EQ(good, rows[i].status == 0);
        if (!good)
            CHECK_EQ(h.status, rows[i].status);
        if (rows[i].status != FRAME_STATUS_PROTOCOL)
            CHECK_EQ(h.payload, rows[i].payload);
        if (!good)
            continue;
        CHECK_EQ(h.head, rows[i].n);
        for (size_t n = 1; n < rows[i].n; n++) {
            CHECK(frame_read(&h, p, n, false, false, 1000));
            CHECK_EQ(h.head, 0);
        }
    }
    UNIT_CASE("");
}

int
main(void)
{
    ws_pool_keep(4);
    first_bytes_of_frames();
    lengths_of_frames();
    side_open(&one);
    a_message_comes_up();
    refusals_name_the_fault();
    too_much_is_refused_when_announced();
    a_fault_in_the_header_needs_no_payload();
    a_close_is_answered_once();
    after_our_close_we_listen_but_say_nothing();
    an_up_call_can_stop_it();
    a_flood_of_pings_costs_little();
    frames_go_out();
    the_pool_keeps_what_it_may();
    side_close(&one);
    buf_free(&in);
    ws_pool_keep(0);
    CHECK_EQ(ws_pool_lent(), 0);
    CHECK_EQ(ws_pool_idle(), 0);
    return unit_done();
}
