/* pair: one end of the socket pair between two workers. See pair.h. */
#include "move/pair.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "ensure.h"

#define READ_SIZE (256u << 10)

void
pair_open(struct pair *p, int fd)
{
    int size = 1 << 20;

    *p = (struct pair){.fd = fd,
        .out = BUF_INIT(PAIR_LINE_MAX),
        .in = BUF_INIT(PAIR_LINE_MAX)};
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static void
wipe(struct buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    buf_free(b);
}

void
pair_close(struct pair *p)
{
    while (p->in_taken < p->in_n)
        close(p->in_fds[p->in_taken++]);
    free(p->in_fds);
    wipe(&p->out);
    wipe(&p->in);
    if (p->fd >= 0)
        close(p->fd);
    *p = (struct pair){.fd = -1};
}

/* As buf_reserve(), but the old memory is wiped before it is freed. */
static bool
reserve(struct buf *b, size_t n)
{
    if (b->cap - b->len >= n)
        return true;
    if (n > b->max - b->len)
        return false;
    size_t cap = b->len + n + (b->len > READ_SIZE ? b->len : READ_SIZE);
    if (cap > b->max)
        cap = b->max;
    char *new = malloc(cap);
    if (new == NULL)
        return false;
    if (b->len > 0)
        memcpy(new, b->p, b->len);
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    free(b->p);
    b->p = new;
    b->cap = cap;
    return true;
}

bool
pair_reserve(struct pair *p, size_t n)
{
    return reserve(&p->out, n);
}

bool
pair_full(const struct pair *p)
{
    return p->out_n == PAIR_FDS || p->out.len >= PAIR_BATCH;
}

bool
pair_pass(struct pair *p, int fd)
{
    if (p->out_n == PAIR_FDS)
        return false;
    p->out_fds[p->out_n++] = fd;
    return true;
}

/* --- sending ------------------------------------------------------------- */

static ssize_t
send_some(struct pair *p)
{
    union {
        struct cmsghdr head;
        char           room[CMSG_SPACE(sizeof p->out_fds)];
    } control;
    struct iovec  v = {p->out.p + p->sent, p->out.len - p->sent};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

    if (p->out_n > 0) {
        size_t n = p->out_n * sizeof p->out_fds[0];
        memset(&control, 0, sizeof control);
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        ensure(c != NULL);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n);
        memcpy(CMSG_DATA(c), p->out_fds, n);
    }
    return sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

enum pair_result
pair_send(struct pair *p)
{
    while (p->sent < p->out.len) {
        ssize_t r = send_some(p);
        if (r < 0 && errno == EINTR)
            continue;
        /* ETOOMANYREFS means that too many descriptors are in flight. */
        if (r < 0 &&
            (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETOOMANYREFS))
            return PAIR_WAITS;
        if (r < 0)
            return PAIR_ENDED;
        p->out_n = 0; /* the descriptors were sent with the first byte */
        p->sent += (size_t)r;
    }
    if (p->out.len > 0)
        explicit_bzero(p->out.p, p->out.len);
    p->out.len = p->sent = 0;
    return PAIR_DONE;
}

enum pair_result
pair_send_within(struct pair *p, uint64_t ms)
{
    uint64_t         until = clock_mono_ms() + ms;
    enum pair_result r;

    while ((r = pair_send(p)) == PAIR_WAITS) {
        uint64_t      now = clock_mono_ms();
        struct pollfd poller = {.fd = p->fd, .events = POLLOUT};
        if (now >= until)
            return PAIR_WAITS;
        /* poll() does not wait for the limit of descriptors in flight
         * (ETOOMANYREFS), so the loop pauses for a short time. */
        if (poll(&poller, 1, (int)(until - now < 10 ? until - now : 10)) > 0 &&
            errno == ETOOMANYREFS)
            poll(NULL, 0, 1);
    }
    return r;
}

bool
pair_begun(const struct pair *p)
{
    return p->sent > 0 || p->out.len == 0;
}

void
pair_drop(struct pair *p)
{
    if (p->out.len > 0)
        explicit_bzero(p->out.p, p->out.len);
    p->out.len = 0;
    p->out_n = 0;
}

/* --- receiving ----------------------------------------------------------- */

static bool
keep_fds(struct pair *p, const int *fds, size_t n)
{
    if (p->in_taken > 0) {
        p->in_n -= p->in_taken;
        memmove(p->in_fds, p->in_fds + p->in_taken, p->in_n * sizeof *fds);
        p->in_taken = 0;
    }
    if (p->in_n + n > p->in_cap) {
        size_t cap = p->in_n + n + PAIR_FDS;
        int   *more = realloc(p->in_fds, cap * sizeof *more);
        if (more == NULL)
            return false;
        p->in_fds = more;
        p->in_cap = cap;
    }
    memcpy(p->in_fds + p->in_n, fds, n * sizeof *fds);
    p->in_n += n;
    return true;
}

static void
take_control(struct pair *p, struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL;
         c = CMSG_NXTHDR(m, c)) {
        int    fds[PAIR_FDS + 53];
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof fds[0];
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
            n > sizeof fds / sizeof fds[0])
            continue;
        memcpy(fds, CMSG_DATA(c), n * sizeof fds[0]);
        if (!keep_fds(p, fds, n))
            for (size_t i = 0; i < n; i++)
                close(fds[i]);
    }
}

static enum pair_result
receive(struct pair *p)
{
    union {
        struct cmsghdr head;
        char           room[CMSG_SPACE(253 * sizeof(int))];
    } control;

    if (!reserve(&p->in, READ_SIZE))
        return PAIR_ENDED; /* the line is longer than PAIR_LINE_MAX */
    struct iovec  v = {p->in.p + p->in.len, READ_SIZE};
    struct msghdr m = {.msg_iov = &v,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control};
    ssize_t       r;
    do
        r = recvmsg(p->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (r < 0 && errno == EINTR);
    if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return PAIR_WAITS;
    if (r <= 0)
        return PAIR_ENDED;
    take_control(p, &m);
    p->in.len += (size_t)r;
    return PAIR_DONE;
}

enum pair_result
pair_line(struct pair *p, char **line, size_t *len)
{
    size_t looked = 0;

    for (;;) {
        char *at = p->in.p + p->taken, *end = NULL;
        if (p->in.len - p->taken > looked)
            end = memchr(at + looked, '\n', p->in.len - p->taken - looked);
        if (end != NULL) {
            *line = at;
            *len = (size_t)(end - at) + 1;
            p->taken += *len;
            return PAIR_DONE;
        }
        /* Move the unread bytes to the front, and wipe the rest. */
        if (p->taken > 0) {
            size_t rest = p->in.len - p->taken;
            memmove(p->in.p, p->in.p + p->taken, rest);
            explicit_bzero(p->in.p + rest, p->taken);
            p->in.len = rest;
            p->taken = 0;
        }
        looked = p->in.len;
        enum pair_result r = receive(p);
        if (r != PAIR_DONE)
            return r;
    }
}

bool
pair_has_ended(const struct pair *p)
{
    struct pollfd poller = {.fd = p->fd, .events = POLLRDHUP};

    return poll(&poller, 1, 0) > 0;
}

int
pair_take(struct pair *p)
{
    return p->in_taken < p->in_n ? p->in_fds[p->in_taken++] : -1;
}
