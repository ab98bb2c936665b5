/* control_reply: what the clients of the control socket get. See control.h. */
#include "control/control_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/master.h"
#include "clock.h"
#include "writer.h"

/* Must not be called inside a command, because it may free the client. */
void
control_send_cb(struct ev_loop *loop, ev_io *w, int events)
{
    struct peer *p = w->data;

    (void)events;
    while (p->written < p->reply.len) {
        ssize_t n = send(p->fd, p->reply.p + p->written,
            p->reply.len - p->written, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n < 0) {
            control_drop(p);
            return;
        }
        p->written += (size_t)n;
        p->deadline_ms = clock_mono_ms() + CONTROL_WRITE_MS;
    }
    buf_clear(&p->reply);
    p->written = 0;
    ev_io_stop(loop, w);
    if (p->phase == REPLY)
        control_drop(p);
}

static void
put(struct peer *p, int code, const void *body, size_t n)
{
    bool room =
        buf_addf(&p->reply, "%d %zu\n", code, n) && buf_add(&p->reply, body, n);

    if (!room && p->phase != STREAM) {
        static const char big[] = "500 17\nreply too large.\n";
        buf_clear(&p->reply);
        buf_add(&p->reply, big, sizeof big - 1);
    }
    ev_io_start(master.loop, &p->out);
}

void
control_reply(struct client *c, int code, const void *body, size_t n)
{
    struct peer *p = (struct peer *)c;

    if (p->phase == REPLY)
        return;
    p->phase = REPLY;
    c->poll = NULL;
    c->described = NULL;
    c->asked = 0;
    ev_io_stop(master.loop, &p->in);
    p->deadline_ms = clock_mono_ms() + CONTROL_WRITE_MS;
    control_set_timer(p, 1, 1);
    put(p, code, body, n);
}

void
control_reply_buf(struct client *c, int code, struct buf *body)
{
    if (body->overflow)
        control_replyf(
            c, CONTROL_FAILED, "the answer does not fit into memory");
    else
        control_reply(c, code, body->p, body->len);
}

/* Writes a sentence as JSON: {"message":...}, or {"error":{...}} with the code
 * and the usage of the command. */
static void
reply_json(struct client *c, int code, const char *text)
{
    struct buf    out = BUF_INIT(32768);
    struct writer w = WRITER_INIT(&out);
    const char   *usage = strstr(text, "\nusage: ocppctl ");
    size_t        n = usage != NULL ? (size_t)(usage - text) : strlen(text);

    writer_open(&w, NULL, '{');
    if (code >= CONTROL_USAGE) {
        writer_open(&w, "error", '{');
        writer_u64(&w, "status", (uint64_t)code);
    }
    writer_strn(&w, "message", text, n);
    if (usage != NULL)
        writer_str(&w, "usage", usage + strlen("\nusage: ocppctl "));
    if (code >= CONTROL_USAGE)
        writer_close(&w);
    writer_close(&w);
    buf_addc(&out, '\n');
    control_reply(c, code, out.p, out.len);
    buf_free(&out);
}

void
control_replyf(struct client *c, int code, const char *fmt, ...)
{
    char    text[4096];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text - 1, fmt, ap);
    va_end(ap);
    if (n < 0)
        n = 0;
    if ((size_t)n > sizeof text - 2)
        n = sizeof text - 2;
    if (c->format == 'j') {
        reply_json(c, code, text);
        return;
    }
    /* The text may quote words of the client, which may contain escape
     * sequences of terminals. */
    for (int i = 0; i < n; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\n') ||
            text[i] == 0x7f)
            text[i] = '?';
    text[n++] = '\n';
    control_reply(c, code, text, (size_t)n);
}

void
control_stream_begin(struct client *c)
{
    struct peer *p = (struct peer *)c;

    /* Keep watching for input, because its end shows that the client has
       closed. */
    p->phase = STREAM;
    p->reply.max = CONTROL_STREAM_MAX;
    p->deadline_ms = clock_mono_ms() + CONTROL_WRITE_MS;
    control_set_timer(p, 1, 1);
}

bool
control_stream(struct client *c, const void *body, size_t n)
{
    struct peer *p = (struct peer *)c;

    if (p->phase != STREAM)
        return false;
    if (p->written > 0) {
        buf_consume(&p->reply, p->written);
        p->written = 0;
    }
    if (!buf_reserve(&p->reply, n + 32)) {
        p->reply.overflow = false;
        return false;
    }
    if (p->reply.len == 0)
        p->deadline_ms = clock_mono_ms() + CONTROL_WRITE_MS;
    put(p, CONTROL_MORE, body, n);
    return true;
}
