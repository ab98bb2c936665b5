/* The opening handshake: which requests are accepted, and how others are
 * refused. */
#include "net/http.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455 section 1.3 */
#define LINE "GET /ocpp/CP1 HTTP/1.1\r\n"
#define HOST "Host: gw\r\n"
#define UP "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define SEC "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"
#define ALL LINE HOST UP SEC

static struct http_request r;

/* Returns the status of a request: 101 if it is accepted, 0 if it is
 * incomplete. The request is parsed at once, and again byte by byte from memory
 * that moves. The two results must be equal. */
static int
status_of(const char *p, size_t n)
{
    struct http_request one;
    enum http_result    e = HTTP_INCOMPLETE;

    memset(&one, 0, sizeof one);
    for (size_t i = 1; i <= n && e == HTTP_INCOMPLETE; i++) {
        char *copy = malloc(i);
        memcpy(copy, p, i);
        e = http_parse(copy, i, &one);
        free(copy);
    }
    memset(&r, 0, sizeof r);
    CHECK_EQ(http_parse(p, n, &r), e);
    CHECK_EQ(r.status, one.status);
    CHECK_EQ(r.consumed, one.consumed);
    CHECK((e == HTTP_ERROR) == (r.status != 0));
    CHECK((e == HTTP_ERROR) == (r.sentence != NULL));
    return e == HTTP_COMPLETE ? 101 : r.status;
}

#define STATUS(text) status_of(text, sizeof(text) - 1)

static bool
same(struct http_span s, const char *text)
{
    return s.p != NULL && s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static struct http_span
span(const char *text)
{
    return (struct http_span){text, strlen(text)};
}

static void
a_request_is_taken_apart(void)
{
    CHECK_EQ(STATUS("GET /ocpp/CP1?a=b?c HTTP/1.1\r\nhost:gw:80\r\n"
                    "X-Forwarded-For: 1.2.3.4\r\n" UP SEC
                    "AUTHORIZATION: \t Basic eDp5 \t\r\n"
                    "User-Agent: charger/1 (x)\r\nEmpty:\r\n"
                    "Sec-WebSocket-Protocol: ocpp1.6\r\n"
                    "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                    "X-Forwarded-For: 5.6.7.8, 10.0.0.1\r\n"
                    "Content-Length: 0\r\n\r\n"),
        101);
    CHECK(same(r.target, "/ocpp/CP1?a=b?c"));
    CHECK(same(r.path, "/ocpp/CP1"));
    CHECK(same(r.key, KEY));
    CHECK(same(r.authorization, "Basic eDp5"));
    CHECK_EQ(r.forwarded_for.n, 2);
    CHECK(same(r.forwarded_for.line[0], "1.2.3.4"));
    CHECK(same(r.forwarded_for.line[1], "5.6.7.8, 10.0.0.1"));
    CHECK_EQ(r.protocol.n, 1);
    CHECK(same(r.protocol.line[0], "ocpp1.6"));
    CHECK_EQ(r.extensions.n, 1);

    CHECK_EQ(STATUS(ALL "\r\n"), 101);
    CHECK(r.authorization.p == NULL);
    CHECK_EQ(r.forwarded_for.n, 0);
    CHECK_EQ(
        STATUS("GET ws://gw:80/ocpp/CP1?q HTTP/1.1\r\n" HOST UP SEC "\r\n"),
        101);
    CHECK(same(r.path, "/ocpp/CP1"));
    CHECK_EQ(STATUS("GET HTTP://gw HTTP/1.1\r\n" HOST UP SEC "\r\n"), 101);
    CHECK_EQ(r.path.n, 0);
    CHECK_EQ(
        STATUS("GET /ocpp/Z\xc3\xbcrich HTTP/1.1\r\n" HOST UP SEC "\r\n"), 101);
}

static void
what_follows_belongs_to_the_websocket(void)
{
    static const char two[] = ALL "\r\n\x81\x80zzzz";

    memset(&r, 0, sizeof r);
    CHECK_EQ(http_parse(two, sizeof two - 1, &r), HTTP_COMPLETE);
    CHECK_EQ(r.consumed, sizeof two - 1 - 6);
    CHECK_EQ(STATUS("\r\n" ALL "\r\n"), 101);
    CHECK_EQ(r.consumed, sizeof("\r\n" ALL "\r\n") - 1);
}

static void
lists_are_read_in_any_case(void)
{
    CHECK_EQ(STATUS(LINE HOST SEC "Upgrade: WebSocket\r\n"
                                  "Connection: keep-alive, Upgrade\r\n\r\n"),
        101);
    CHECK_EQ(STATUS(LINE HOST SEC
                 "UPGRADE: h2c,,websocket ,\r\n"
                 "connection: close\r\nconnection: UPGRADE\r\n\r\n"),
        101);
    CHECK_EQ(STATUS(LINE HOST SEC "Upgrade: websockets\r\n"
                                  "Connection: Upgrade\r\n\r\n"),
        426);
    CHECK_EQ(STATUS(LINE HOST SEC "Upgrade: websocket\r\n"
                                  "Connection: Upgrades\r\n\r\n"),
        400);
    CHECK(http_list_has(span("a, b ,C"), "c"));
    CHECK(!http_list_has(span("a b"), "a"));
    CHECK(!http_list_has(span(""), "a"));
    CHECK(!http_list_has((struct http_span){NULL, 0}, "a"));
}

static void
incomplete_is_no_error(void)
{
    static const char all[] = ALL "\r\n";

    for (size_t n = 1; n < sizeof all - 1; n++)
        CHECK_EQ(status_of(all, n), 0);
}

static void
what_is_no_handshake_is_refused(void)
{
    CHECK_EQ(STATUS("POST / HTTP/1.1\r\n" HOST UP SEC "\r\n"), 405);
    CHECK_EQ(STATUS("get / HTTP/1.1\r\n" HOST UP SEC "\r\n"), 405);
    CHECK_EQ(STATUS("GET / HTTP/1.0\r\n" HOST UP SEC "\r\n"), 505);
    CHECK_EQ(STATUS("GET / HTTP/2.0\r\n" HOST UP SEC "\r\n"), 505);
    CHECK_EQ(STATUS("GET / HTTP/1.2\r\n" HOST UP SEC "\r\n"), 101);
    CHECK_EQ(STATUS("GET / http/1.1\r\n" HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS("GET / HTTP/1.10\r\n" HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS("GET /\r\n" HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS("GET  HTTP/1.1\r\n" HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS(" GET / HTTP/1.1\r\n" HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS("GET /a b HTTP/1.1\r\n" HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS("GET /a\tb HTTP/1.1\r\n" HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS("GET a HTTP/1.1\r\n" HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS("GET * HTTP/1.1\r\n" HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS("GET ftp://h/a HTTP/1.1\r\n" HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS("GET /#a HTTP/1.1\r\n" HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS("\r\n\r\n" ALL "\r\n"), 400);
    CHECK_EQ(STATUS("\x16\x03\x01"), 400); /* a TLS handshake */

    CHECK_EQ(STATUS(LINE UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS(LINE HOST HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS(LINE HOST SEC "\r\n"), 426);
    CHECK_EQ(STATUS(LINE HOST "\r\n"), 426);
    CHECK_EQ(STATUS(LINE HOST "Upgrade: websocket\r\n" SEC "\r\n"), 400);
    CHECK_EQ(STATUS(LINE HOST UP "\r\n"), 426);
    CHECK_EQ(STATUS(ALL "Sec-WebSocket-Version: 13\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "Sec-WebSocket-Key: " KEY "\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "Authorization: a\r\nAuthorization: b\r\n\r\n"), 400);
#define K(k) LINE HOST UP "Sec-WebSocket-Version: 13\r\n" k "\r\n"
#define V(v) LINE HOST UP "Sec-WebSocket-Key: " KEY "\r\n" v "\r\n"
    CHECK_EQ(STATUS(K("")), 400);
    CHECK_EQ(STATUS(K("Sec-WebSocket-Key: c2hvcnQ=\r\n")), 400);
    CHECK_EQ(STATUS(K("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n")), 400);
    CHECK_EQ(STATUS(K("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZXh4\r\n")), 400);
    /* One character more, and a whole group after the padding. */
    CHECK_EQ(STATUS(K("Sec-WebSocket-Key: " KEY "A\r\n")), 400);
    CHECK_EQ(STATUS(K("Sec-WebSocket-Key: " KEY KEY "\r\n")), 400);
    CHECK_EQ(STATUS(K("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2-jZQ==\r\n")), 400);
    CHECK_EQ(STATUS(K("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAB==\r\n")), 101);
    CHECK_EQ(STATUS(V("Sec-WebSocket-Version: 8\r\n")), 426);
    CHECK_EQ(STATUS(V("Sec-WebSocket-Version: 13, 8\r\n")), 426);
    CHECK_EQ(STATUS(V("Sec-WebSocket-Version:\r\n")), 426);
}

static void
what_is_no_http_is_refused(void)
{
    CHECK_EQ(STATUS(ALL " folded\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "\tfolded\r\n\r\n"), 400);
    CHECK_EQ(STATUS(LINE " folded\r\n" HOST UP SEC "\r\n"), 400);
    CHECK_EQ(STATUS(ALL "X : y\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "X\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL ": y\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "X(: y\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "X\xc3\xbc: y\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "X: \xc3\xbc\r\n\r\n"), 101);
    CHECK_EQ(STATUS(ALL "X: \0\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "X: \x1b\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "X: \x7f\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "X: a\nX-Forwarded-For: 1.2.3.4\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "X: a\rb\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "X: a\r\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "\n"), 400);
    CHECK_EQ(STATUS("\n"), 400);
    CHECK_EQ(STATUS("\r\r"), 400);
    CHECK_EQ(STATUS(ALL "Content-Length: 00\r\n\r\n"), 101);
    CHECK_EQ(STATUS(ALL "Content-Length: 1\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "Content-Length: 0, 1\r\n\r\n"), 400);
    CHECK_EQ(STATUS(ALL "Transfer-Encoding: chunked\r\n\r\n"), 400);
#define P "Sec-WebSocket-Protocol: a\r\n"
    CHECK_EQ(STATUS(ALL P P P P P P P P "\r\n"), 101);
    CHECK_EQ(STATUS(ALL P P P P P P P P P "\r\n"), 400);
}

/* --- identity ------------------------------------------------------------ */

static char   id[64];
static size_t id_len;

static enum http_identity
identity(const char *path, const char *prefix)
{
    memset(id, 'x', sizeof id);
    id_len = 99;
    enum http_identity e = http_identity(span(path), prefix, 20, id, &id_len);
    if (e != HTTP_ID_OK) {
        CHECK_EQ(id_len, 99);
        CHECK(id[0] == 'x');
        CHECK(http_identity_status(e) >= 400);
        CHECK(strlen(http_identity_sentence(e)) > 10);
    } else {
        CHECK_EQ(strlen(id), id_len);
    }
    return e;
}

static const char *
id_of(const char *path, const char *prefix)
{
    return identity(path, prefix) == HTTP_ID_OK ? id : "refused";
}

static void
the_identity_stands_below_the_prefix(void)
{
    CHECK_STR(id_of("/ocpp/CP1", "/ocpp"), "CP1");
    CHECK_STR(id_of("/ocpp/CP1/", "/ocpp"), "CP1");
    CHECK_STR(id_of("//ocpp///CP1//", "/ocpp/"), "CP1");
    CHECK_STR(id_of("/CP1", "/"), "CP1");
    CHECK_STR(id_of("/CP1", ""), "CP1");
    CHECK_STR(id_of("/a/b/CP1", "/a/b"), "CP1");
    CHECK_EQ(identity("/ocpp", "/ocpp"), HTTP_ID_EMPTY);
    CHECK_EQ(identity("/ocpp//", "/ocpp"), HTTP_ID_EMPTY);
    CHECK_EQ(identity("/", "/"), HTTP_ID_EMPTY);
    CHECK_EQ(identity("", "/"), HTTP_ID_EMPTY);
    CHECK_EQ(identity("", "/ocpp"), HTTP_ID_PATH);
    CHECK_EQ(identity("/ocppx/CP1", "/ocpp"), HTTP_ID_PATH);
    CHECK_EQ(identity("/ocp/CP1", "/ocpp"), HTTP_ID_PATH);
    CHECK_EQ(identity("/OCPP/CP1", "/ocpp"), HTTP_ID_PATH);
    CHECK_EQ(identity("/ocpp/a/CP1", "/ocpp"), HTTP_ID_PATH);
    CHECK_EQ(identity("/ocpp/..", "/ocpp"), HTTP_ID_PATH);
    CHECK_EQ(identity("/ocpp/%2e", "/ocpp"), HTTP_ID_PATH);
    CHECK_EQ(http_identity_status(HTTP_ID_PATH), 404);
}

static void
the_identity_is_decoded_once(void)
{
    CHECK_STR(id_of("/ocpp/RDAM%20123", "/ocpp"), "RDAM 123");
    CHECK_STR(id_of("/ocpp/%2520", "/ocpp"), "%20");
    CHECK_STR(id_of("/ocpp/a+b", "/ocpp"), "a+b");
    CHECK_STR(id_of("/ocpp/a:b;c", "/ocpp"), "a:b;c");
    CHECK_STR(id_of("/ocpp/Z%c3%BCrich", "/ocpp"), "Z\xc3\xbcrich");
    CHECK_STR(id_of("/ocpp/Z\xc3\xbcrich", "/ocpp"), "Z\xc3\xbcrich");
    CHECK_STR(
        id_of("/ocpp/12345678901234567890", "/ocpp"), "12345678901234567890");
    CHECK_EQ(identity("/ocpp/123456789012345678901", "/ocpp"), HTTP_ID_LONG);
    CHECK_STR(id_of("/ocpp/1234567890123456%F0%9F%9A%97", "/ocpp"),
        "1234567890123456\xf0\x9f\x9a\x97");
    CHECK_EQ(identity("/ocpp/%", "/ocpp"), HTTP_ID_ESCAPE);
    CHECK_EQ(identity("/ocpp/a%2", "/ocpp"), HTTP_ID_ESCAPE);
    CHECK_EQ(identity("/ocpp/a%2g", "/ocpp"), HTTP_ID_ESCAPE);
    CHECK_EQ(identity("/ocpp/a%%20", "/ocpp"), HTTP_ID_ESCAPE);
    CHECK_EQ(identity("/ocpp/a%00", "/ocpp"), HTTP_ID_NUL);
    CHECK_EQ(identity("/ocpp/a%2Fb", "/ocpp"), HTTP_ID_SLASH);
    CHECK_EQ(identity("/ocpp/a%2fb", "/ocpp"), HTTP_ID_SLASH);
    CHECK_EQ(identity("/ocpp/%ff", "/ocpp"), HTTP_ID_UTF8);
    CHECK_EQ(identity("/ocpp/%c3", "/ocpp"), HTTP_ID_UTF8);
    CHECK_EQ(identity("/ocpp/%c0%af", "/ocpp"), HTTP_ID_UTF8);
    CHECK_EQ(identity("/ocpp/%e0%80%af", "/ocpp"), HTTP_ID_UTF8);
    CHECK_EQ(identity("/ocpp/%ed%a0%80", "/ocpp"), HTTP_ID_UTF8);
    CHECK_EQ(identity("/ocpp/%f4%90%80%80", "/ocpp"), HTTP_ID_UTF8);
    CHECK_EQ(identity("/ocpp/%f5%80%80%80", "/ocpp"), HTTP_ID_UTF8);
    CHECK_EQ(identity("/ocpp/a%0a", "/ocpp"), HTTP_ID_CONTROL);
    CHECK_EQ(identity("/ocpp/%7F", "/ocpp"), HTTP_ID_CONTROL);
    CHECK_EQ(identity("/ocpp/%c2%85", "/ocpp"), HTTP_ID_CONTROL);
    CHECK_STR(id_of("/ocpp/%c2%a0", "/ocpp"), "\xc2\xa0");
}

/* --- subprotocol, password, answers -------------------------------------- */

static int
pick(const char *request, size_t n)
{
    static const char *const names[] = {"ocpp1.6", "ocpp2.0.1", "ocpp2.1"};

    CHECK_EQ(status_of(request, n), 101);
    return http_pick_subprotocol(&r, names, 3);
}

#define PICK(lines) pick(ALL lines "\r\n", sizeof(ALL lines "\r\n") - 1)
#define OFFER(list) "Sec-WebSocket-Protocol: " list "\r\n"

static void
the_order_of_the_table_counts(void)
{
    CHECK_EQ(PICK(OFFER("ocpp1.6")), 0);
    CHECK_EQ(PICK(OFFER("ocpp2.1, ocpp1.6")), 0);
    CHECK_EQ(PICK(OFFER("ocpp2.1, ocpp2.0.1")), 1);
    CHECK_EQ(PICK(OFFER("ocpp1.5 ,\tocpp2.1 ,ocpp1.7")), 2);
    CHECK_EQ(PICK(OFFER("soap") OFFER("ocpp1.6, ocpp2.1")), 0);
    CHECK_EQ(PICK(""), HTTP_OFFERED_NOTHING);
    CHECK_EQ(PICK(OFFER("")), HTTP_OFFERED_NOTHING);
    CHECK_EQ(PICK(OFFER(" , ,")), HTTP_OFFERED_NOTHING);
    CHECK_EQ(PICK(OFFER("ocpp1.5,")), HTTP_OFFERED_OTHERS);
    CHECK_EQ(PICK(OFFER("ocpp1.60")), HTTP_OFFERED_OTHERS);
    CHECK_EQ(PICK(OFFER("ocpp1")), HTTP_OFFERED_OTHERS);
    CHECK_EQ(PICK(OFFER("OCPP1.6")), HTTP_OFFERED_OTHERS);
}

static struct http_password pw;

static enum http_basic
basic(const char *header, const char *name)
{
    memset(&pw, 0xaa, sizeof pw);
    return http_basic(span(header), name, strlen(name), &pw);
}

static void
passwords_are_bytes(void)
{
    static const uint8_t want[] = {0, 1, 2, 3, 4, 5, 6, 7, 255, 255, 255, 255,
        255, 255, 255, 255, 255, 255, 255, 255};

    /* OCPP-J 1.6 section 6.2.2 */
    CHECK_EQ(basic("Basic QUwxMDAwOgABAgMEBQYH////////////////", "AL1000"),
        HTTP_BASIC_OK);
    CHECK_EQ(pw.len, sizeof want);
    CHECK(memcmp(pw.bytes, want, sizeof want) == 0);

    CHECK_EQ(basic("basic  YTpiOmM=", "a"), HTTP_BASIC_OK); /* a:b:c */
    CHECK_EQ(pw.len, 3);
    CHECK_EQ(basic("Basic YTpiOmM=", "a:b"), HTTP_BASIC_OK);
    CHECK_EQ(pw.len, 1);
    CHECK(pw.bytes[0] == 'c');
    CHECK_EQ(basic("Basic YTpiOmM", "a:b"), HTTP_BASIC_OK); /* no padding */
    CHECK_EQ(pw.len, 1);
    CHECK_EQ(basic("Basic YTo=", "a"), HTTP_BASIC_OK);
    CHECK_EQ(pw.len, 0);
    CHECK_EQ(basic("Basic YTpiOmM=", "b"), HTTP_BASIC_USER);
    CHECK_EQ(basic("Basic YTpiOmM=", "a:b:c"), HTTP_BASIC_USER);
    CHECK_EQ(basic("Basic YTpiOmM=", "A"), HTTP_BASIC_USER);
    CHECK_EQ(basic("Basic ", "a"), HTTP_BASIC_USER);
    CHECK_EQ(basic("Basic Y", "a"), HTTP_BASIC_BAD);
    CHECK_EQ(basic("Basic Y-_=", "a"), HTTP_BASIC_BAD);
    CHECK_EQ(basic("Basic YTpiOmM==", "a"), HTTP_BASIC_BAD);
    CHECK_EQ(basic("Bearer YTpiOmM=", "a"), HTTP_BASIC_NONE);
    CHECK_EQ(basic("Basic", "a"), HTTP_BASIC_NONE);
    CHECK_EQ(
        http_basic((struct http_span){NULL, 0}, "a", 1, &pw), HTTP_BASIC_NONE);

    char text[6 + 9000 + 1] = "Basic ";
    memset(text + 6, 'A', 9000);
    memcpy(text + 6, "YTpi", 4); /* a:b, then NULs */
    text[6 + 4 + 4 * 85] = '\0'; /* 3 * 85 bytes + "b" = 256 */
    CHECK_EQ(basic(text, "a"), HTTP_BASIC_OK);
    CHECK_EQ(pw.len, HTTP_PASSWORD_MAX);
    text[6 + 4 + 4 * 85] = 'A';
    text[6 + 4 + 4 * 86] = '\0';
    CHECK_EQ(basic(text, "a"), HTTP_BASIC_BAD);
    text[6 + 4 + 4 * 86] = 'A';
    CHECK_EQ(basic(text, "a"), HTTP_BASIC_BAD);
}

static void
answers(void)
{
    char       accept[HTTP_ACCEPT_LEN + 1];
    struct buf out = BUF_INIT(4096);
    struct buf tight = BUF_INIT(100);

    http_accept_key(span(KEY), accept);
    CHECK_STR(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455 1.3 */

    CHECK(http_put_switching(&out, accept, "ocpp1.6", NULL));
    CHECK_STR(buf_cstr(&out),
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Accept: "
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n");
    buf_clear(&out);
    CHECK(http_put_switching(&out, accept, NULL, NULL));
    CHECK(strstr(buf_cstr(&out), "Protocol:") == NULL);
    buf_clear(&out);
    CHECK(http_put_refusal(&out, 401, 0, "Who are you?"));
    CHECK_STR(buf_cstr(&out),
        "HTTP/1.1 401 Unauthorized\r\n"
        "WWW-Authenticate: Basic realm=\"ocpp\"\r\n"
        "Connection: close\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 13\r\n\r\nWho are you?\n");
    buf_clear(&out);
    CHECK(http_put_refusal(&out, 426, 0, "No."));
    CHECK(strstr(buf_cstr(&out), "\r\nSec-WebSocket-Version: 13\r\n"));
    CHECK(strstr(buf_cstr(&out), "\r\nUpgrade: websocket\r\n"));
    CHECK(strstr(buf_cstr(&out), "\r\nConnection: close, Upgrade\r\n"));
    buf_clear(&out);
    CHECK(http_put_refusal(&out, 503, 30, "Full."));
    CHECK(strstr(buf_cstr(&out), "\r\nRetry-After: 30\r\n"));
    CHECK(!http_put_refusal(&tight, 503, 30, "Full."));
    CHECK_EQ(tight.len, 0);
    CHECK(!http_put_switching(&tight, accept, NULL, NULL));
    CHECK_EQ(tight.len, 0);
    buf_free(&out);
    buf_free(&tight);
}

int
main(void)
{
    a_request_is_taken_apart();
    what_follows_belongs_to_the_websocket();
    lists_are_read_in_any_case();
    incomplete_is_no_error();
    what_is_no_handshake_is_refused();
    what_is_no_http_is_refused();
    the_identity_stands_below_the_prefix();
    the_identity_is_decoded_once();
    the_order_of_the_table_counts();
    passwords_are_bytes();
    answers();
    return unit_done();
}
