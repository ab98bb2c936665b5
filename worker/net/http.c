/*
 * http: the opening handshake of a WebSocket, as text. See http.h.
 *
 * Each byte is checked once when it arrives: whether it is allowed at its
 * place, and whether it ends the request. The request is parsed once, when the
 * empty line has arrived. So the caller may call after every byte, and garbage
 * such as a TLS ClientHello is refused at its first byte.
 */
#include "net/http.h"

#include <string.h>
#include <strings.h>

#include <openssl/sha.h>

#include "base64.h"
#include "ensure.h"

#define KEY_LEN 24 /* 16 bytes in base64 */
#define PROXY_UNEXPECTED                                                       \
    "A PROXY header came from an address that server.proxy_from does not list."
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */

/* Facts about the header lines that were read, which struct http_request does
 * not hold. */
struct seen {
    unsigned         host, key, version, authorization;
    bool             upgrade_websocket;
    bool             connection_upgrade;
    struct http_span version_is;
};

static enum http_result
refuse(struct http_request *r, int status, const char *sentence)
{
    r->status = status;
    r->sentence = sentence;
    return HTTP_ERROR;
}

static enum http_result
bad(struct http_request *r, const char *sentence)
{
    return refuse(r, 400, sentence);
}

static bool
is(struct http_span s, const char *word)
{
    size_t n = strlen(word);

    return s.n == n && strncasecmp(s.p, word, n) == 0;
}

static bool
is_tchar(char c) /* RFC 7230 section 3.2.6 */
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
        (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct http_span
trim(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    while (end > p && is_blank(end[-1]))
        end--;
    return (struct http_span){p, (size_t)(end - p)};
}

/* Cuts the next element off a comma-separated list; false at its end. An
 * element may be empty. */
static bool
next_element(struct http_span *list, struct http_span *element)
{
    if (list->p == NULL)
        return false;
    const char *end = list->p + list->n;
    const char *comma = memchr(list->p, ',', list->n);
    *element = trim(list->p, comma ? comma : end);
    if (comma)
        *list = (struct http_span){comma + 1, (size_t)(end - comma - 1)};
    else
        *list = (struct http_span){NULL, 0};
    return true;
}

bool
http_list_has(struct http_span list, const char *token)
{
    struct http_span e;

    while (next_element(&list, &e))
        if (is(e, token))
            return true;
    return false;
}

/* --- the request --------------------------------------------------------- */

/* GET SP target SP HTTP/1.1 (RFC 7230 section 3.1.1). */
static enum http_result
request_line(struct http_request *r, const char *p, const char *end)
{
    const char *m = p;
    while (m < end && is_tchar(*m))
        m++;
    if (m == p || m == end || *m != ' ')
        return bad(r, "This is not an HTTP request.");
    if (m - p == 5 && memcmp(p, "PROXY", 5) == 0)
        return bad(r, PROXY_UNEXPECTED);
    const char *t = m + 1;
    const char *v = end;
    while (v > t && v[-1] != ' ')
        v--;
    if (v <= t + 1)
        return bad(r, "The request line lacks its target or its version.");
    r->target = (struct http_span){t, (size_t)(v - 1 - t)};
    if (memchr(r->target.p, ' ', r->target.n) ||
        memchr(r->target.p, '\t', r->target.n))
        return bad(r, "A blank in the URL must be written as %20.");
    if (end - v != 8 || memcmp(v, "HTTP/", 5) != 0 || v[6] != '.' ||
        v[5] < '0' || v[5] > '9' || v[7] < '0' || v[7] > '9')
        return bad(r, "This is not an HTTP request.");
    if (m - p != 3 || memcmp(p, "GET", 3) != 0)
        return refuse(r, 405, "A WebSocket must be opened with GET.");
    if (v[5] != '1' || v[7] == '0')
        return refuse(r, 505, "A WebSocket must be opened with HTTP/1.1.");
    return HTTP_COMPLETE;
}

static enum http_result
split_target(struct http_request *r)
{
    static const char *const schemes[] = {
        "http://", "ws://", "https://", "wss://"};
    const char *p = r->target.p;
    const char *end = p + r->target.n;

    /* A server must accept the absolute form (RFC 7230 section 5.3.2). */
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t n = strlen(schemes[i]);
        if ((size_t)(end - p) >= n && strncasecmp(p, schemes[i], n) == 0) {
            p += n;
            while (p < end && *p != '/' && *p != '?')
                p++;
            break;
        }
    }
    if (p == r->target.p && *p != '/')
        return bad(r, "The URL has no path.");
    if (memchr(p, '#', (size_t)(end - p)))
        return bad(r, "A # in the URL must be written as %23.");
    const char *q = memchr(p, '?', (size_t)(end - p));
    r->path = (struct http_span){p, (size_t)((q ? q : end) - p)};
    return HTTP_COMPLETE;
}

static bool
keep_line(struct http_lines *lines, struct http_span value)
{
    if (lines->n == HTTP_LINES)
        return false;
    lines->line[lines->n++] = value;
    return true;
}

static enum http_result
header(struct http_request *r, struct seen *s, struct http_span name,
    struct http_span value)
{
    if (is(name, "Host")) {
        s->host++;
    } else if (is(name, "Upgrade")) {
        s->upgrade_websocket |= http_list_has(value, "websocket");
    } else if (is(name, "Connection")) {
        s->connection_upgrade |= http_list_has(value, "upgrade");
    } else if (is(name, "Sec-WebSocket-Key")) {
        s->key++;
        r->key = value;
    } else if (is(name, "Sec-WebSocket-Version")) {
        s->version++;
        s->version_is = value;
    } else if (is(name, "Sec-WebSocket-Protocol")) {
        if (!keep_line(&r->protocol, value))
            return bad(r, "Too many lines of Sec-WebSocket-Protocol.");
    } else if (is(name, "Sec-WebSocket-Extensions")) {
        if (!keep_line(&r->extensions, value))
            return bad(r, "Too many lines of Sec-WebSocket-Extensions.");
    } else if (is(name, "Authorization")) {
        s->authorization++;
        r->authorization = value;
    } else if (is(name, "X-Forwarded-For")) {
        if (!keep_line(&r->forwarded_for, value))
            return bad(r, "Too many lines of X-Forwarded-For.");
    } else if (is(name, "Forwarded")) {
        if (!keep_line(&r->forwarded, value))
            return bad(r, "Too many lines of Forwarded.");
    } else if (is(name, "Transfer-Encoding")) {
        return bad(r, "A handshake has no body.");
    } else if (is(name, "Content-Length")) {
        /* The bytes of a body would be read as frames. */
        for (size_t i = 0; i < value.n; i++)
            if (value.p[i] != '0')
                return bad(r, "A handshake has no body.");
    }
    return HTTP_COMPLETE;
}

static enum http_result
header_line(
    struct http_request *r, struct seen *s, const char *p, const char *end)
{
    if (is_blank(*p))
        return bad(r, "A header is continued on a second line.");
    const char *c = p;
    while (c < end && is_tchar(*c))
        c++;
    if (c < end && is_blank(*c))
        return bad(r, "A header has a blank before its colon.");
    if (c == p || c == end || *c != ':')
        return bad(r, "A header has no colon, or no name.");
    return header(
        r, s, (struct http_span){p, (size_t)(c - p)}, trim(c + 1, end));
}

static bool
key_ok(struct http_span k)
{
    /* 22 digits of base64 and two of padding. The last digit has four unused
     * bits, which are ignored. */
    if (k.n != KEY_LEN || k.p[22] != '=' || k.p[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        char c = k.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                (c >= '0' && c <= '9') || c == '+' || c == '/'))
            return false;
    }
    return true;
}

/* RFC 6455 section 4.2.1. The most likely fault is reported first: a browser or
 * a health check, then a proxy that removes headers. */
static enum http_result
judge(struct http_request *r, const struct seen *s)
{
    if (s->host != 1)
        return bad(r, s->host ? "Host occurs twice." : "Host is missing.");
    if (!s->upgrade_websocket)
        return refuse(r, 426,
            "This is a WebSocket endpoint; Upgrade: "
            "websocket is missing.");
    if (!s->connection_upgrade)
        return bad(r,
            "Connection: Upgrade is missing (a proxy in between may "
            "have removed it).");
    if (s->version > 1)
        return bad(r, "Sec-WebSocket-Version occurs twice.");
    if (s->version == 0 || !is(s->version_is, "13"))
        return refuse(r, 426, "Sec-WebSocket-Version must be 13.");
    if (s->key != 1)
        return bad(r,
            s->key ? "Sec-WebSocket-Key occurs twice."
                   : "Sec-WebSocket-Key is missing.");
    if (!key_ok(r->key))
        return bad(r, "Sec-WebSocket-Key is not 16 bytes in base64.");
    if (s->authorization > 1)
        return bad(r, "Authorization occurs twice.");
    return HTTP_COMPLETE;
}

static enum http_result
take_apart(struct http_request *r, const char *p, const char *end)
{
    struct seen      s = {0};
    enum http_result e;
    bool             first = true;

    /* p..end is whole lines, each with its CR LF, and no empty one. */
    while (p < end) {
        const char *cr = memchr(p, '\r', (size_t)(end - p));
        if (first) {
            e = request_line(r, p, cr);
            if (e == HTTP_COMPLETE)
                e = split_target(r);
        } else {
            e = header_line(r, &s, p, cr);
        }
        if (e != HTTP_COMPLETE)
            return e;
        first = false;
        p = cr + 2;
    }
    return judge(r, &s);
}

enum http_result
http_parse(const char *p, size_t n, struct http_request *r)
{
    /* One empty line before the request line is ignored (RFC 7230 section
     * 3.5). */
    size_t first = n >= 2 && p[0] == '\r' && p[1] == '\n' ? 2 : 0;
    size_t i;

    if (r->status != 0)
        return HTTP_ERROR;
    for (i = r->scanned; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        bool          after_cr = i > 0 && p[i - 1] == '\r';
        if (after_cr != (c == '\n'))
            return bad(r, "A line does not end in CR LF.");
        if ((c < 0x20 && c != '\r' && c != '\n' && c != '\t') || c == 0x7f)
            return bad(r, "The request contains a control character.");
        if (c == '\n' && i >= first + 3 && p[i - 2] == '\n')
            break;
        if (c == '\n' && i == first + 1 && first == 2)
            return bad(r,
                n > i + 1 && p[i + 1] == '\0' ? PROXY_UNEXPECTED
                                              : "This is not an HTTP request.");
    }
    r->scanned = i;
    if (i == n)
        return HTTP_INCOMPLETE;
    r->consumed = i + 1;
    return take_apart(r, p + first, p + i - 1);
}

int
http_pick_subprotocol(
    const struct http_request *r, const char *const names[], size_t n)
{
    int    result = HTTP_OFFERED_NOTHING;
    size_t best = n;

    for (unsigned l = 0; l < r->protocol.n; l++) {
        struct http_span list = r->protocol.line[l];
        struct http_span e;
        while (next_element(&list, &e)) {
            if (e.n == 0)
                continue;
            result = HTTP_OFFERED_OTHERS;
            for (size_t i = 0; i < best; i++)
                if (strlen(names[i]) == e.n && memcmp(names[i], e.p, e.n) == 0)
                    best = i;
        }
    }
    return best < n ? (int)best : result;
}

/* --- the answer ---------------------------------------------------------- */

void
http_accept_key(struct http_span key, char out[HTTP_ACCEPT_LEN + 1])
{
    uint8_t text[KEY_LEN + sizeof GUID - 1], digest[SHA_DIGEST_LENGTH];

    ensure(key.n <= KEY_LEN);
    memcpy(text, key.p, key.n);
    memcpy(text + key.n, GUID, sizeof GUID - 1);
    ensure(SHA1(text, key.n + sizeof GUID - 1, digest) != NULL);
    base64_encode(digest, sizeof digest, out);
}

/* Removes the bytes appended since len if some of them did not fit. */
static bool
all_or_nothing(struct buf *out, size_t len, bool ok)
{
    if (!ok)
        out->len = len;
    return ok;
}

bool
http_put_switching(struct buf *out, const char *accept, const char *subprotocol,
    const char *extensions)
{
    size_t len = out->len;
    bool   ok = buf_adds(out,
                    "HTTP/1.1 101 Switching Protocols\r\n"
                      "Upgrade: websocket\r\n"
                      "Connection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: ") &&
        buf_adds(out, accept) && buf_adds(out, "\r\n");

    if (ok && subprotocol)
        ok = buf_adds(out, "Sec-WebSocket-Protocol: ") &&
            buf_adds(out, subprotocol) && buf_adds(out, "\r\n");
    if (ok && extensions)
        ok = buf_adds(out, "Sec-WebSocket-Extensions: ") &&
            buf_adds(out, extensions) && buf_adds(out, "\r\n");
    return all_or_nothing(out, len, ok && buf_adds(out, "\r\n"));
}

static const struct {
    int         status;
    const char *phrase;
    const char *headers; /* header lines that this status requires */
} answers[] = {
    {400, "Bad Request", ""},
    {401, "Unauthorized", "WWW-Authenticate: Basic realm=\"ocpp\"\r\n"},
    {403, "Forbidden", ""},
    {404, "Not Found", ""},
    {405, "Method Not Allowed", "Allow: GET\r\n"},
    {408, "Request Timeout", ""},
    /* RFC 7231 section 6.5.15; RFC 6455 section 4.4 */
    {426, "Upgrade Required",
        "Upgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\n"},
    {429, "Too Many Requests", ""},
    {431, "Request Header Fields Too Large", ""},
    {500, "Internal Server Error", ""},
    {503, "Service Unavailable", ""},
    {505, "HTTP Version Not Supported", ""},
};

bool
http_put_refusal(
    struct buf *out, int status, unsigned retry_after, const char *sentence)
{
    const char *phrase = "Refused";
    const char *headers = "";
    size_t      len = out->len;

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (answers[i].status == status) {
            phrase = answers[i].phrase;
            headers = answers[i].headers;
        }
    bool ok = buf_addf(out, "HTTP/1.1 %d %s\r\n%s", status, phrase, headers);
    if (ok && retry_after > 0)
        ok = buf_addf(out, "Retry-After: %u\r\n", retry_after);
    ok = ok &&
        buf_addf(out,
            "Connection: close%s\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: %zu\r\n\r\n%s\n",
            status == 426 ? ", Upgrade" : "", strlen(sentence) + 1, sentence);
    return all_or_nothing(out, len, ok);
}
