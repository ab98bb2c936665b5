/* The PROXY protocol, and unusual forms of credentials. */
#include "address.h"
#include "net/http_hint.h"
#include "net/proxyproto.h"
#include "shm.h"
#include "unit.h"

#define SIGN "\r\n\r\n\0\r\nQUIT\n"

static const struct {
    const char            *name, *bytes;
    size_t                 n;
    enum proxyproto_result result;
    const char            *peer;
    size_t                 consumed;
} rows[] = {
#define T(name, text, result, peer, consumed)                                  \
    {                                                                          \
        name, text, sizeof text - 1, PROXYPROTO_##result, peer, consumed       \
    }
    T("v1", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nGET", PEER,
        "192.0.2.1:56324", 45),
    T("v1 six", "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", PEER,
        "[2001:db8::1]:1", 36),
    T("v1 port with zeros", "PROXY TCP4 192.0.2.1 198.51.100.1 10800 9090\r\n",
        PEER, "192.0.2.1:10800", 46),
    T("v1 unknown", "PROXY UNKNOWN\r\nx", LOCAL, NULL, 15),
    T("v1 unknown, with more", "PROXY UNKNOWN a b c\r\n", LOCAL, NULL, 21),
    T("v1 begun", "PROXY TCP4 192.0.2.1", INCOMPLETE, NULL, 0),
    T("v1 without LF", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r",
        INCOMPLETE, NULL, 0),
    T("nothing", "", INCOMPLETE, NULL, 0),
    T("P", "P", INCOMPLETE, NULL, 0),
    T("v1 bare LF", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n", ERROR, NULL, 0),
    T("v1 no family", "PROXY \r\n", ERROR, NULL, 0),
    T("v1 UDP", "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n", ERROR, NULL, 0),
    T("v1 six in four", "PROXY TCP4 ::1 198.51.100.1 1 2\r\n", ERROR, NULL, 0),
    T("v1 a name", "PROXY TCP4 localhost 198.51.100.1 1 2\r\n", ERROR, NULL, 0),
    T("v1 port", "PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n", ERROR, NULL,
        0),
    T("v1 port 01", "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n", ERROR, NULL,
        0),
    T("v1 port -1", "PROXY TCP4 192.0.2.1 198.51.100.1 -1 2\r\n", ERROR, NULL,
        0),
    T("v1 no port", "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n", ERROR, NULL, 0),
    T("v1 a word more", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n", ERROR,
        NULL, 0),
    T("v1 a blank more", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n", ERROR,
        NULL, 0),
    T("v1 two blanks", "PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n", ERROR,
        NULL, 0),
    T("v1 NUL", "PROXY TCP4 192.0.2.1\0 198.51.100.1 1 2\r\n", ERROR, NULL, 0),
    T("v1 long",
        "PROXY UNKNOWN "
        "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n",
        ERROR, NULL, 0),
    T("HTTP", "GET / HTTP/1.1\r\n", ABSENT, NULL, 0),
    T("TLS", "\x16\x03\x01", ABSENT, NULL, 0),
    T("nearly", "POST / HTTP/1.1\r\n", ERROR, NULL, 0),
    T("lower case", "proxy TCP4", ABSENT, NULL, 0),
    T("v2 four",
        SIGN "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"
             "GET",
        PEER, "192.0.2.1:56324", 28),
    T("v2 four and TLV",
        SIGN
        "\x21\x11\0\x10\xc0\0\x02\x01\xc6\x33\x64\x01\0\x01\0\x02\x04\0\x01x",
        PEER, "192.0.2.1:1", 32),
    T("v2 six",
        SIGN "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
             "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50\0\x51",
        PEER, "[2001:db8::1]:80", 52),
    T("v2 local", SIGN "\x20\0\0\0G", LOCAL, NULL, 16),
    T("v2 local with more", SIGN "\x20\x11\0\x02xx", LOCAL, NULL, 18),
    T("v2 no family", SIGN "\x21\0\0\0", LOCAL, NULL, 16),
    T("v2 begun", SIGN "\x21\x11\0\x0c\xc0\0\x02", INCOMPLETE, NULL, 0),
    T("v2 head begun", SIGN "\x21\x11", INCOMPLETE, NULL, 0),
    T("v2 signature begun", "\r\n\r\n\0", INCOMPLETE, NULL, 0),
    T("v2 another version", SIGN "\x31\x11\0\x0c", ERROR, NULL, 0),
    T("v2 another version, early", SIGN "\x31", ERROR, NULL, 0),
    T("v2 command", SIGN "\x22\x11\0\x0c", ERROR, NULL, 0),
    T("v2 UDP",
        SIGN "\x21\x12\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb",
        ERROR, NULL, 0),
    T("v2 unix", SIGN "\x21\x31\0\0", ERROR, NULL, 0),
    T("v2 short",
        SIGN "\x21\x11\0\x0b\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01", ERROR,
        NULL, 0),
    T("v2 six short",
        SIGN "\x21\x21\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb",
        ERROR, NULL, 0),
    T("v2 long", SIGN "\x21\x11\xff\xff", ERROR, NULL, 0),
    T("wrong signature", "\r\n\r\nX", ERROR, NULL, 0),
};

static void
headers_whole_and_in_pieces(void)
{
    struct proxyproto out;
    char              text[ADDRESS_LEN];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        UNIT_CASE(rows[i].name);
        const uint8_t *p = (const uint8_t *)rows[i].bytes;
        CHECK_EQ(proxyproto_parse(p, rows[i].n, &out), rows[i].result);
        if (rows[i].result == PROXYPROTO_ERROR)
            CHECK(out.why != NULL);
        if (rows[i].peer != NULL) {
            address_text(text, out.addr, out.port);
            CHECK_STR(text, rows[i].peer);
        }
        if (rows[i].consumed == 0)
            continue;
        CHECK_EQ(out.consumed, rows[i].consumed);
        for (size_t n = 0; n < rows[i].consumed; n++)
            CHECK_EQ(proxyproto_parse(p, n, &out), PROXYPROTO_INCOMPLETE);
    }
}

static void
a_header_of_the_greatest_length(void)
{
    static uint8_t    bytes[PROXYPROTO_MAX] = SIGN "\x20\0";
    const size_t      rest = sizeof bytes - 16;
    struct proxyproto out;

    UNIT_CASE("");
    bytes[14] = (uint8_t)(rest >> 8);
    bytes[15] = (uint8_t)rest;
    CHECK_EQ(proxyproto_parse(bytes, sizeof bytes, &out), PROXYPROTO_LOCAL);
    CHECK_EQ(out.consumed, sizeof bytes);
    bytes[15]++;
    CHECK_EQ(proxyproto_parse(bytes, sizeof bytes, &out), PROXYPROTO_ERROR);
}

static void
hints(void)
{
    static const struct {
        const char *authorization, *identity, *hint;
    } cases[] = {
        {"", "CP1", "no Authorization header"},
        {"Basic", "CP1", "the Authorization header is not of the scheme Basic"},
        {"Digest x", "CP1",
            "the Authorization header is not of the scheme Basic"},
        {"Basic  ", "CP1", "the Authorization header is not base64"},
        {"Basic Q1Ax", "CP1",
            "the credentials have no colon after the user name"},
        {"basic Y3AxOng=", "CP1",
            "the user name differs from the identity in case only"},
        {"Basic OmtleQ==", "CP1", "the user name is empty"},
        {"Basic Q1AyOng=", "CP1", "the user name is not the identity"},
        {"Basic QyUyMFA6eA==", "C P",
            "the user name is the identity percent-encoded"},
        {"Basic Q1AxIDp4", "CP1",
            "the user name has blanks after the identity"},
        {"Basic Q1A6eA==", "CP1",
            "the user name is only the beginning of the identity"},
        {"Basic ICA6eA==", "CP1", "the user name is not the identity"},
        {"Basic\tQ1AxOng=", "CP1",
            "the Authorization header is not of the scheme Basic"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        UNIT_CASE(cases[i].authorization);
        struct http_span a = {
            cases[i].authorization, strlen(cases[i].authorization)};
        CHECK_STR(http_hint(a, cases[i].identity, strlen(cases[i].identity)),
            cases[i].hint);
    }
    char long_one[3000];
    memset(long_one, 'Q', sizeof long_one);
    memcpy(long_one, "Basic ", 6);
    CHECK_STR(
        http_hint((struct http_span){long_one, sizeof long_one}, "CP1", 3),
        "the Authorization header is not base64");
    UNIT_CASE("the longest credentials that are read, and longer ones");
    CHECK_STR(http_hint((struct http_span){long_one, 6 + 1024}, "CP1", 3),
        "the credentials have no colon after the user name");
    CHECK_STR(http_hint((struct http_span){long_one, 6 + 1028}, "CP1", 3),
        "the Authorization header is not base64");
}

int
main(void)
{
    headers_whole_and_in_pieces();
    a_header_of_the_greatest_length();
    hints();
    return unit_done();
}
