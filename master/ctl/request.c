/*
 * request: sends a command to the daemon over its control socket, and reads the
 * reply. See ctl.h; control.h describes the protocol.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control_line.h"
#include "printable.h"
#include "writer.h"

#define PATIENCE_S 1800 /* longer than any command stays without output */

/* A connection to the daemon, with the bytes that were read and not yet used.
 */
struct talk {
    int        fd;
    struct buf in;
};

static bool
explain(struct buf *why, const char *socket_path, int error)
{
    const char *hint = "";

    switch (error) {
    case ENOENT:
    case ECONNREFUSED:
        hint = "; start ocppd, or name its server.control with -s";
        break;
    case EACCES:
    case EPERM:
        hint = "; only root, the daemon's user and server.control_group may "
               "use it";
        break;
    case EAGAIN:
        hint = "; the daemon does not answer";
        break;
    }
    buf_addf(why, "%s: %s%s", socket_path, strerror(error), hint);
    return false;
}

static bool
talk_open(struct talk *t, const struct ctl *ctl, struct buf *why)
{
    const char        *path = ctl->socket;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct timeval     patience = {
            .tv_sec = ctl->patience_s > 0 ? ctl->patience_s : PATIENCE_S};

    t->in = BUF_INIT(CONTROL_REPLY_MAX);
    t->fd = -1;
    if (strlen(path) >= sizeof un.sun_path)
        return explain(why, path, ENAMETOOLONG);
    memcpy(un.sun_path, path, strlen(path) + 1);
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (t->fd >= 0) {
        setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        /* This limits connect(2) too. */
        setsockopt(t->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    }
    if (t->fd < 0 || connect(t->fd, (struct sockaddr *)&un, sizeof un) != 0)
        return explain(why, path, errno);
    return true;
}

static void
talk_close(struct talk *t)
{
    if (t->fd >= 0)
        close(t->fd);
    buf_free(&t->in);
}

/* Sends the command. An error is ignored, because a daemon that refuses the
 * command may stop reading early; its reply, which is read next, holds the
 * reason. */
static void
talk_say(struct talk *t, const struct buf *line)
{
    for (size_t at = 0; at < line->len;) {
        ssize_t n = send(t->fd, line->p + at, line->len - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        at += (size_t)n;
    }
}

static bool
read_some(struct talk *t)
{
    ssize_t n;

    if (!buf_reserve(&t->in, 65536))
        return false;
    do
        n = recv(t->fd, t->in.p + t->in.len, 65536, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    t->in.len += (size_t)n;
    return true;
}

/* Reads the next reply: returns its code, with its body of *len bytes at
 * t->in.p + *at; -1 if the connection ended before the reply was complete. */
static int
talk_hear(struct talk *t, size_t *at, size_t *len)
{
    char *nl, *end;

    while ((nl = t->in.len ? memchr(t->in.p, '\n', t->in.len) : NULL) == NULL)
        if (t->in.len > 64 || !read_some(t))
            return -1;
    long code = strtol(t->in.p, &end, 10);
    if (*end != ' ' || code < 100 || code > 999)
        return -1;
    unsigned long long n = strtoull(end + 1, &end, 10);
    if (end != nl || n > CONTROL_REPLY_MAX)
        return -1;
    *at = (size_t)(nl + 1 - t->in.p);
    *len = (size_t)n;
    while (t->in.len - *at < *len)
        if (!read_some(t))
            return -1;
    return (int)code;
}

static bool
make_line(struct buf *line, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_addc(line, ' ');
        control_line_quote(line, words[i]);
    }
    buf_addc(line, '\n');
    return !line->overflow;
}

int
ctl_request(const struct ctl *ctl, const char *const *words, size_t n,
    struct buf *reply)
{
    struct buf  line = BUF_INIT(LINE_MAX_BYTES + 1);
    struct talk t = {.fd = -1};
    size_t      at, len;
    int         code = -1;

    if (!make_line(&line, words, n)) {
        buf_addf(reply, "the command is longer than %u bytes", LINE_MAX_BYTES);
        code = CONTROL_USAGE;
    } else if (talk_open(&t, ctl, reply)) {
        talk_say(&t, &line);
        code = talk_hear(&t, &at, &len);
        if (code < 0)
            buf_addf(
                reply, "%s: the daemon ended before it answered", ctl->socket);
        else
            buf_add(reply, t.in.p + at, len);
    }
    talk_close(&t);
    buf_free(&line);
    return code;
}

void
ctl_report(const char *fmt, ...)
{
    char    text[4096];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *p = text; *p != '\0'; p += *p == '\n') {
        size_t n = strcspn(p, "\n");
        printable_mask(p, n);
        p += n;
    }
    fprintf(stderr, "ocppctl: %s\n", text);
}

void
ctl_error(const struct ctl *ctl, const char *fmt, ...)
{
    char    text[4096];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (ctl->format != 'j') {
        ctl_report("%s", text);
        return;
    }
    struct buf    out = BUF_INIT(32768);
    struct writer w = WRITER_INIT(&out);
    writer_open(&w, NULL, '{');
    writer_open(&w, "error", '{');
    writer_str(&w, "message", text);
    writer_close(&w);
    writer_close(&w);
    puts(buf_cstr(&out));
    buf_free(&out);
}

static int
print(const struct ctl *ctl, int code, const char *body, size_t len)
{
    /* With -j an error is written to stdout too, because programs read the
     * answer there.
     */
    FILE *to = code >= CONTROL_ERRORS && ctl->format != 'j' ? stderr : stdout;

    if (to == stderr)
        fputs("ocppctl: ", to);
    /* Payloads and names come from outside, and the output may be a terminal:
     * control characters are escaped. In JSON the escaped text means the
     * same. */
    struct buf shown = BUF_INIT(6 * len + 1);
    if (printable_escape(&shown, body, len))
        fwrite(shown.p, 1, shown.len, to);
    buf_free(&shown);
    if (fflush(to) != 0)
        return CTL_REFUSED; /* the reader has closed the output */
    if (code == CONTROL_USAGE)
        return CTL_USAGE;
    return code >= CONTROL_ERRORS || code == CONTROL_NEGATIVE ? CTL_REFUSED
                                                              : CTL_DONE;
}

int
ctl_run(const struct ctl *ctl, int argc, char **argv)
{
    const char *words[LINE_WORDS];
    char        format[3] = "-";
    struct buf  line = BUF_INIT(LINE_MAX_BYTES + 1);
    struct buf  why = BUF_INIT(4096);
    struct talk t;
    size_t      n = 0, at, len;
    int         code, result = CTL_DONE;

    if (argc > LINE_WORDS - 1) {
        ctl_error(ctl, "more than %d words", LINE_WORDS - 1);
        return CTL_USAGE;
    }
    if (ctl->format != 0) {
        format[1] = ctl->format;
        words[n++] = format;
    }
    for (int i = 0; i < argc; i++)
        words[n++] = argv[i];
    if (!make_line(&line, words, n)) {
        ctl_error(ctl, "the command is longer than %u bytes", LINE_MAX_BYTES);
        return CTL_USAGE;
    }
    if (!talk_open(&t, ctl, &why)) {
        ctl_error(ctl, "%s", buf_cstr(&why));
        result = CTL_NOT_RUNNING;
    } else {
        talk_say(&t, &line);
        do {
            code = talk_hear(&t, &at, &len);
            if (code < 0) {
                ctl_error(ctl, "%s: the daemon ended before it answered",
                    ctl->socket);
                result = CTL_NOT_RUNNING;
                break;
            }
            result = print(ctl, code, t.in.p + at, len);
            buf_consume(&t.in, at + len);
        } while (code < CONTROL_DONE && result == CTL_DONE);
    }
    talk_close(&t);
    buf_free(&line);
    buf_free(&why);
    return result;
}
