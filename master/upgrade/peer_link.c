/* peer_link: records and descriptors between two masters. See peer_link.h. */
#include "upgrade/peer_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/master.h"
#include "clock.h"
#include "ensure.h"
#include "log.h"

#define READ_BYTES 65536

struct peer_link_chunk {
    struct peer_link_chunk *next;
    size_t                  len, sent;
    int                     passed; /* descriptor that is sent with the first
                                       byte; -1: none */
    char p[];
};

void
peer_link_close(struct peer_link *l)
{
    if (l->fd < 0)
        return;
    ev_io_stop(master.loop, &l->in);
    ev_io_stop(master.loop, &l->out);
    close(l->fd);
    l->fd = -1;
    while (l->first != NULL) {
        struct peer_link_chunk *c = l->first;
        l->first = c->next;
        if (c->passed >= 0)
            close(c->passed);
        free(c);
    }
    for (unsigned i = 0; i < l->fds_n; i++)
        close(l->fds[i]);
    l->fds_n = 0;
    explicit_bzero(l->lines.p, l->lines.len);
    buf_free(&l->lines);
}

/* --- out ------------------------------------------------------------------ */

static ssize_t
send_chunk(int fd, const struct peer_link_chunk *c)
{
    union {
        struct cmsghdr head;
        char           room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec  iov = {(void *)(c->p + c->sent), c->len - c->sent};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

    if (c->passed >= 0) {
        memset(&control, 0, sizeof control);
        h.msg_control = &control;
        h.msg_controllen = sizeof control.room;
        struct cmsghdr *m = CMSG_FIRSTHDR(&h);
        m->cmsg_level = SOL_SOCKET;
        m->cmsg_type = SCM_RIGHTS;
        m->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(m), &c->passed, sizeof(int));
    }
    return sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
flush(struct peer_link *l)
{
    while (l->first != NULL) {
        struct peer_link_chunk *c = l->first;
        ssize_t                 n = send_chunk(l->fd, c);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            ev_io_start(master.loop, &l->out);
            return;
        }
        /* An error means that the other end is closed, which is handled where
         * the link is read. */
        if (c->passed >= 0) {
            close(c->passed);
            c->passed = -1;
        }
        if (n > 0)
            c->sent += (size_t)n;
        if (n > 0 && c->sent < c->len)
            continue;
        l->first = c->next;
        if (l->first == NULL)
            l->last = &l->first;
        explicit_bzero(c->p, c->len);
        free(c);
    }
    ev_io_stop(master.loop, &l->out);
}

static void
out_cb(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop, (void)events;
    flush(w->data);
}

/* Ends the link because a record could not be sent: without it, the other
 * program cannot continue. Both ends notice it when they read. */
static void
give_up(struct peer_link *l, int error)
{
    log_error("upgrade: a record cannot be sent to the other program: %s",
        strerror(error));
    l->error = error;
    shutdown(l->fd, SHUT_RDWR);
}

void
peer_link_send(struct peer_link *l, const struct buf *line, int passed)
{
    int copy = -1;

    if (l->fd < 0 || l->error != 0)
        return;
    ensure(!line->overflow && line->len > 0 && line->p[line->len - 1] == '\n');
    if (passed >= 0 && (copy = fcntl(passed, F_DUPFD_CLOEXEC, 3)) < 0) {
        give_up(l, errno);
        return;
    }
    struct peer_link_chunk *c = malloc(sizeof *c + line->len);
    if (c == NULL) {
        if (copy >= 0)
            close(copy);
        give_up(l, ENOMEM);
        return;
    }
    *c = (struct peer_link_chunk){.len = line->len, .passed = copy};
    memcpy(c->p, line->p, line->len);
    *l->last = c;
    l->last = &c->next;
    flush(l);
}

void
peer_link_say(struct peer_link *l, const char *word)
{
    struct buf line = BUF_INIT(256);

    fields_begin(&line, word);
    fields_end(&line);
    peer_link_send(l, &line, -1);
    buf_free(&line);
}

bool
peer_link_flush(struct peer_link *l, unsigned ms)
{
    uint64_t until = clock_mono_ms() + ms;

    while (l->fd >= 0 && l->first != NULL) {
        uint64_t      now = clock_mono_ms();
        struct pollfd p = {.fd = l->fd, .events = POLLOUT};
        if (now >= until)
            return false;
        poll(&p, 1, (int)(until - now));
        flush(l);
    }
    return true;
}

/* --- in ------------------------------------------------------------------- */

static void
end(struct peer_link *l)
{
    peer_link_close(l);
    l->ended();
}

static bool
take_descriptors(struct peer_link *l, struct msghdr *h)
{
    bool room = (h->msg_flags & MSG_CTRUNC) == 0;

    for (struct cmsghdr *m = CMSG_FIRSTHDR(h); m != NULL;
         m = CMSG_NXTHDR(h, m)) {
        if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (m->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(m) + i * sizeof fd, sizeof fd);
            if (l->fds_n < PEER_LINK_FDS) {
                l->fds[l->fds_n++] = fd;
            } else {
                close(fd);
                room = false;
            }
        }
    }
    return room;
}

static bool
read_line(struct peer_link *l, size_t len)
{
    static struct fields f;
    int                  passed = -1;

    char behind = l->lines.p[len];
    if (!fields_parse(&f, l->lines.p, len)) {
        log_error("upgrade: the other program has sent a malformed record");
        return false;
    }
    if (fields_bool(&f, "fd", false)) {
        if (l->fds_n == 0) {
            log_error(
                "upgrade: the record `%s` came without its descriptor", f.word);
            return false;
        }
        passed = l->fds[0];
        memmove(l->fds, l->fds + 1, --l->fds_n * sizeof *l->fds);
    }
    l->record(&f, passed);
    if (l->fd < 0)
        return true;
    l->lines.p[len] = behind;
    explicit_bzero(l->lines.p, len);
    buf_consume(&l->lines, len);
    return true;
}

static bool
read_lines(struct peer_link *l)
{
    while (l->fd >= 0 && l->scanned < l->lines.len) {
        char *nl =
            memchr(l->lines.p + l->scanned, '\n', l->lines.len - l->scanned);
        if (nl == NULL) {
            l->scanned = l->lines.len;
            break;
        }
        l->scanned = 0;
        if (!read_line(l, (size_t)(nl + 1 - l->lines.p)))
            return false;
    }
    return true;
}

static void
in_cb(struct ev_loop *loop, ev_io *w, int events)
{
    struct peer_link *l = w->data;
    union {
        struct cmsghdr head;
        char           room[CMSG_SPACE(64 * sizeof(int))];
    } control;

    (void)loop, (void)events;
    /* One byte more, for the NUL that fields_parse() writes. */
    if (!buf_reserve(&l->lines, READ_BYTES + 1)) {
        log_error(
            "upgrade: a record is longer than %u bytes", PEER_LINK_LINE_MAX);
        end(l);
        return;
    }
    struct iovec  iov = {l->lines.p + l->lines.len, READ_BYTES};
    struct msghdr h = {.msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control.room};
    ssize_t       n = recvmsg(l->fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (n <= 0 || !take_descriptors(l, &h)) {
        end(l);
        return;
    }
    l->lines.len += (size_t)n;
    if (!read_lines(l))
        end(l);
}

void
peer_link_open(struct peer_link *l, int fd)
{
    l->fd = fd;
    l->first = NULL;
    l->last = &l->first;
    l->fds_n = 0;
    l->scanned = 0;
    l->error = 0;
    l->lines = BUF_INIT(PEER_LINK_LINE_MAX + READ_BYTES + 2);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    ev_io_init(&l->in, in_cb, fd, EV_READ);
    ev_io_init(&l->out, out_cb, fd, EV_WRITE);
    l->in.data = l->out.data = l;
    ev_io_start(master.loop, &l->in);
}
