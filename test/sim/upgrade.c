/* upgrade: the client's half of the WebSocket handshake. See upgrade.h. */
#include "upgrade.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "sha1.h"

#define HEAD_MAX 16384

static char key[25]; /* base64 of 16 bytes, made when it is first used */
static char accept_is[29];

static void
make_key(void)
{
    uint8_t  bytes[16], digest[20];
    char     text[25 + 36 + 1];
    uint64_t x = clock_mono_ns() | 1u;

    for (unsigned i = 0; i < sizeof bytes; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes[i] = (uint8_t)(x >> 24);
    }
    base64(key, bytes, sizeof bytes);
    snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    sha1(digest, text, strlen(text));
    base64(accept_is, digest, sizeof digest);
}

static bool
is_loopback(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)sa)
                         ->sin_addr.s_addr) >>
            24 ==
            127;
    return sa->sa_family == AF_INET6 &&
        IN6_IS_ADDR_LOOPBACK(
            &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
}

bool
upgrade_url(struct upgrade_url *u, const char *text, const char **why)
{
    char host[200], port[8] = "80";

    memset(u, 0, sizeof *u);
    u->secure = strncasecmp(text, "wss://", 6) == 0;
    if (!u->secure && strncasecmp(text, "ws://", 5) != 0) {
        *why = "the URL must begin with ws:// or wss://";
        return false;
    }
    if (u->secure)
        strcpy(port, "443");
    const char *p = text + (u->secure ? 6 : 5), *end = p + strcspn(p, "/?#");
    const char *colon = NULL;
    if (*p == '[') {
        const char *close = memchr(p, ']', (size_t)(end - p));
        if (close == NULL) {
            *why = "a bracket is not closed";
            return false;
        }
        if (close + 1 < end && close[1] == ':')
            colon = close + 1;
    } else {
        colon = memchr(p, ':', (size_t)(end - p));
    }
    size_t n = (size_t)((colon ? colon : end) - p);
    if (n == 0 || n >= sizeof host) {
        *why = "the host is missing or too long";
        return false;
    }
    memcpy(host, p, n);
    host[n] = '\0';
    if (colon != NULL) {
        size_t m = (size_t)(end - colon - 1);
        if (m == 0 || m > 5 || strspn(colon + 1, "0123456789") < m) {
            *why = "the port is not a number";
            return false;
        }
        memcpy(port, colon + 1, m);
        port[m] = '\0';
    }
    snprintf(u->host, sizeof u->host, "%s:%s", host, port);
    if (strlen(end) >= sizeof u->path) {
        *why = "the path is too long";
        return false;
    }
    memcpy(u->path, end, strlen(end) + 1);
    size_t len = strlen(u->path);
    while (len > 0 && u->path[len - 1] == '/')
        u->path[--len] = '\0';

    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char            bare[200];
    snprintf(bare, sizeof bare, "%s", host[0] == '[' ? host + 1 : host);
    bare[strcspn(bare, "]")] = '\0';
    int rc = getaddrinfo(bare, port, &hints, &found);
    if (rc != 0) {
        *why = gai_strerror(rc);
        return false;
    }
    /* localhost may have two addresses; the gateway listens on that of IPv4. */
    struct addrinfo *best = found;
    for (struct addrinfo *a = found->ai_next;
         a != NULL && best->ai_family != AF_INET; a = a->ai_next)
        if (a->ai_family == AF_INET)
            best = a;
    memcpy(&u->addr, best->ai_addr, best->ai_addrlen);
    u->addr_len = best->ai_addrlen;
    u->loopback = is_loopback(best->ai_addr);
    freeaddrinfo(found);
    return true;
}

static void
percent(struct buf *out, const char *s)
{
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (isalnum(c) || strchr("-._~", c) != NULL)
            buf_addc(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

void
upgrade_write(struct buf *out, const struct upgrade_request *r)
{
    if (key[0] == '\0')
        make_key();
    buf_adds(out, "GET ");
    buf_adds(out, r->path);
    if (r->identity != NULL) {
        buf_addc(out, '/');
        percent(out, r->identity);
    } else if (r->path[0] == '\0') {
        buf_addc(out, '/');
    }
    buf_adds(out, " HTTP/1.1\r\nHost: ");
    buf_adds(out, r->host);
    buf_adds(out,
        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
    buf_adds(out, key);
    if (r->subprotocols != NULL && r->subprotocols[0] != '\0') {
        buf_adds(out, "\r\nSec-WebSocket-Protocol: ");
        buf_adds(out, r->subprotocols);
    }
    if (r->user != NULL) {
        char   plain[512], coded[700];
        size_t n = strlen(r->user);
        if (n + 1 + r->password_len <= sizeof plain) {
            memcpy(plain, r->user, n);
            plain[n] = ':';
            memcpy(plain + n + 1, r->password, r->password_len);
            base64(coded, plain, n + 1 + r->password_len);
            buf_adds(out, "\r\nAuthorization: Basic ");
            buf_adds(out, coded);
        }
    }
    buf_adds(out, "\r\n");
    if (r->headers != NULL)
        buf_adds(out, r->headers);
    buf_adds(out, "\r\n");
}

static void
keep(char *to, size_t size, const char *p, size_t n)
{
    if (n >= size)
        n = size - 1;
    memcpy(to, p, n);
    to[n] = '\0';
}

static void
header(struct upgrade_answer *a, const char *p, size_t n)
{
    const char *colon = memchr(p, ':', n);

    if (colon == NULL)
        return;
    size_t      name = (size_t)(colon - p);
    const char *v = colon + 1, *end = p + n;
    while (v < end && (*v == ' ' || *v == '\t'))
        v++;
    while (end > v && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t len = (size_t)(end - v);
    if (name == 20 && strncasecmp(p, "Sec-WebSocket-Accept", 20) == 0)
        a->accepted = len == 28 && memcmp(v, accept_is, 28) == 0;
    else if (name == 22 && strncasecmp(p, "Sec-WebSocket-Protocol", 22) == 0)
        keep(a->subprotocol, sizeof a->subprotocol, v, len);
    else if (name == 24 && strncasecmp(p, "Sec-WebSocket-Extensions", 24) == 0)
        (strncasecmp(v, "permessage-deflate", 18) == 0 ? &a->deflate
                                                       : &a->extended)[0] =
            true;
    else if (name == 11 && strncasecmp(p, "Retry-After", 11) == 0)
        a->retry_after = (uint32_t)strtoul(v, NULL, 10);
}

long
upgrade_read(struct upgrade_answer *a, const char *p, size_t n)
{
    const char *end = memmem(p, n, "\r\n\r\n", 4);

    if (n >= 5 && memcmp(p, "HTTP/", 5) != 0)
        return -1;
    if (end == NULL)
        return n > HEAD_MAX ? -1 : 0;
    memset(a, 0, sizeof *a);
    const char *line = memmem(p, (size_t)(end + 2 - p), "\r\n", 2);
    if (line - p < 12 || p[8] != ' ')
        return -1;
    a->status = (int)strtol(p + 9, NULL, 10);
    if (line - p > 13)
        keep(a->reason, sizeof a->reason, p + 13, (size_t)(line - p - 13));
    while (line < end) {
        line += 2;
        const char *next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        header(a, line, (size_t)(next - line));
        line = next;
    }
    return end + 4 - p;
}
