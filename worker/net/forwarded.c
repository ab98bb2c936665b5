/* forwarded: the client's address behind an HTTP proxy. See forwarded.h. */
#include "net/forwarded.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

static struct http_span
trim(struct http_span s)
{
    while (s.n > 0 && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* Cuts the last element off a list. Commas within quotes count as well: an
 * address needs none, and a quote that the client has left open must not hide
 * the elements that the proxy has appended. */
static struct http_span
last_element(struct http_span *list)
{
    size_t at = list->n;

    while (at > 0 && list->p[at - 1] != ',')
        at--;
    struct http_span e = {list->p + at, list->n - at};
    list->n = at > 0 ? at - 1 : 0;
    return trim(e);
}

static bool
read_port(const char *p, size_t n, uint16_t *port)
{
    unsigned v = 0;

    if (n == 0 || n > 5)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        v = 10 * v + (unsigned)(p[i] - '0');
    }
    *port = (uint16_t)v;
    return v <= 65535;
}

/* 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80 */
static bool
read_node(struct http_span s, struct forwarded *out)
{
    char            host[INET6_ADDRSTRLEN];
    struct in6_addr six = IN6ADDR_ANY_INIT;
    struct in_addr  four;
    const char     *colon = memchr(s.p, ':', s.n), *end = s.p + s.n;

    out->port = 0;
    if (s.n > 0 && s.p[0] == '[') {
        const char *close = memchr(s.p, ']', s.n);
        if (close == NULL ||
            (close + 1 < end &&
                (close[1] != ':' ||
                    !read_port(
                        close + 2, (size_t)(end - close - 2), &out->port))))
            return false;
        s = (struct http_span){s.p + 1, (size_t)(close - s.p - 1)};
    } else if (colon != NULL &&
        memchr(colon + 1, ':', (size_t)(end - colon - 1)) == NULL) {
        if (!read_port(colon + 1, (size_t)(end - colon - 1), &out->port))
            return false;
        s.n = (size_t)(colon - s.p);
    }
    if (s.n == 0 || s.n >= sizeof host)
        return false;
    memcpy(host, s.p, s.n);
    host[s.n] = '\0';
    if (inet_pton(AF_INET, host, &four) == 1) {
        six.s6_addr[10] = six.s6_addr[11] = 0xff;
        memcpy(six.s6_addr + 12, &four, sizeof four);
    } else if (inet_pton(AF_INET6, host, &six) != 1) {
        return false;
    }
    memcpy(out->addr, &six, sizeof out->addr);
    return true;
}

/* The value of for= in an element of Forwarded (RFC 7239 section 5.2), without
   its quotes. */
static struct http_span
for_of(struct http_span element)
{
    const char *p = element.p, *end = p + element.n;

    while (p < end) {
        const char      *semicolon = memchr(p, ';', (size_t)(end - p));
        const char      *stop = semicolon != NULL ? semicolon : end;
        struct http_span pair = trim((struct http_span){p, (size_t)(stop - p)});
        p = semicolon != NULL ? semicolon + 1 : end;
        if (pair.n < 4 || strncasecmp(pair.p, "for=", 4) != 0)
            continue;
        pair.p += 4;
        pair.n -= 4;
        if (pair.n >= 2 && pair.p[0] == '"' && pair.p[pair.n - 1] == '"') {
            pair.p++;
            pair.n -= 2;
        }
        return pair;
    }
    return (struct http_span){element.p, 0};
}

/* True if the header names a client. *why: what is wrong with its last
 * element. */
static bool
client_of(const struct http_lines *lines, bool                 named,
    bool (*trusted)(const uint64_t addr[2]), struct forwarded *out,
    const char *why)
{
    bool some = false;

    out->why = why;
    for (unsigned l = lines->n; l-- > 0;) {
        struct http_span list = lines->line[l];
        while (list.n > 0) {
            struct http_span e = last_element(&list);
            struct forwarded hop;
            if (e.n == 0)
                continue;
            if (!read_node(named ? for_of(e) : e, &hop))
                return some; /* "unknown", or text made up by the client */
            memcpy(out->addr, hop.addr, sizeof out->addr);
            out->port = hop.port;
            some = true;
            if (!trusted(hop.addr))
                return true;
        }
    }
    return some;
}

enum forwarded_result
forwarded_client(const struct http_request *r,
    bool (*trusted)(const uint64_t addr[2]), struct forwarded *out)
{
    struct forwarded x, f;
    bool             has_x = r->forwarded_for.n > 0, has_f = r->forwarded.n > 0;

    memset(out, 0, sizeof *out);
    if (!has_x && !has_f)
        return FORWARDED_NONE;
    if (has_x &&
        !client_of(&r->forwarded_for, false, trusted, &x,
            "the last element of X-Forwarded-For is not an address")) {
        *out = x;
        return FORWARDED_ERROR;
    }
    if (has_f &&
        !client_of(&r->forwarded, true, trusted, &f,
            "the last element of Forwarded has no for= with an address")) {
        *out = f;
        return FORWARDED_ERROR;
    }
    *out = has_x ? x : f;
    if (has_x && has_f && memcmp(x.addr, f.addr, sizeof x.addr) != 0) {
        out->why = "X-Forwarded-For and Forwarded name different clients; the "
                   "proxy has to remove the one that it does not set";
        return FORWARDED_ERROR;
    }
    return FORWARDED_CLIENT;
}
