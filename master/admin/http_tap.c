/*
 * http_tap: the frames of one charge point for a client of the HTTP API. See
 * http.h.
 *
 * The master streams them as to `ocppctl tap`: replies of code 100, each a JSON
 * line. It drops frames that the client does not read in time, so a slow client
 * delays nothing else.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/http.h"
#include "control_line.h"
#include "number.h"

#define IN_MAX (1u << 20)

struct http_tap {
    int        fd;
    struct buf in;  /* bytes from the master */
    struct buf out; /* bytes for the client */
    size_t     at;
    bool       ended;
};

/* Writes an identity as a pattern that matches only this identity. */
static void
put_pattern(struct buf *out, const char *identity)
{
    for (; *identity != '\0'; identity++) {
        if (strchr("*?[]\\", *identity) != NULL)
            buf_addc(out, '\\');
        buf_addc(out, *identity);
    }
}

struct http_tap *
http_tap_open(int channel, const char *token, const char *identity)
{
    struct buf       pattern = BUF_INIT(1024);
    struct http_tap *t = calloc(1, sizeof *t);

    if (t == NULL)
        return NULL;
    put_pattern(&pattern, identity);
    const char *words[] = {"tap", buf_cstr(&pattern)};
    t->fd = ask_open(channel, token, words, 2);
    t->in = t->out = BUF_INIT(IN_MAX);
    buf_free(&pattern);
    if (t->fd < 0) {
        free(t);
        return NULL;
    }
    return t;
}

/* Moves whole replies from in to out. */
static void
take_replies(struct http_tap *t)
{
    char *nl;

    while (t->in.len > 0 && (nl = memchr(t->in.p, '\n', t->in.len)) != NULL) {
        size_t      head = (size_t)(nl + 1 - t->in.p);
        size_t      n = number_digits(t->in.p);
        const char *rest = t->in.p + n + (t->in.p[n] == ' ');
        uint64_t    code, len;
        if (!number_u64(t->in.p, n, 599, &code) ||
            !number_u64(rest, (size_t)(nl - rest), IN_MAX, &len)) {
            t->ended = true; /* the master never sends this */
            return;
        }
        if (t->in.len - head < len)
            return;
        buf_add(&t->out, t->in.p + head, len);
        buf_consume(&t->in, head + len);
        t->ended |= code != CONTROL_MORE;
    }
}

long
http_tap_read(struct http_tap *t, char *p, size_t max)
{
    while (t->at == t->out.len) {
        struct pollfd fd = {.fd = t->fd, .events = POLLIN};
        buf_clear(&t->out);
        t->at = 0;
        if (t->ended)
            return -1;
        int ready = poll(&fd, 1, HTTP_HEARTBEAT_MS);
        if (ready < 0 && errno != EINTR)
            return -1;
        if (ready == 0) {
            buf_addc(&t->out, '\n'); /* a blank line is not a frame */
            break;
        }
        if (ready < 0)
            continue;
        if (!buf_reserve(&t->in, 65536))
            return -1;
        ssize_t n = recv(t->fd, t->in.p + t->in.len, 65536, 0);
        if (n == 0 || (n < 0 && errno != EINTR))
            return -1;
        t->in.len += n > 0 ? (size_t)n : 0;
        take_replies(t);
    }
    size_t n = t->out.len - t->at;
    if (n > max)
        n = max;
    memcpy(p, t->out.p + t->at, n);
    t->at += n;
    return (long)n;
}

void
http_tap_close(struct http_tap *t)
{
    close(t->fd);
    buf_free(&t->in);
    buf_free(&t->out);
    free(t);
}
