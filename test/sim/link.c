/* link: the WebSocket connection of a client. See link.h. */
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ensure.h"
#include "lease.h"
#include "worker/net/deflate.h"

#define DEFLATE_WINDOW 15
#define DEFLATE_FROM 128 /* bytes; a shorter message is sent uncompressed */

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define READ_SIZE 16384u

struct link_partial {
    struct lease *lease; /* kept between reads while a message is fragmented */
    size_t        len;
    uint8_t       bytes[];
};

struct link_totals link_totals;

static struct ev_loop        *loop;
static const struct link_ops *ops;
static bool                   offers_deflate;
static struct lease
                 *active; /* the context that the present read has borrowed */
static struct buf gather = BUF_INIT(8u * LINK_MESSAGE_MAX);
static uint8_t    arrived[LINK_MESSAGE_MAX + 14 + SECURE_ROOM];

/* --- the socket ---------------------------------------------------------- */

static void link_io_cb(struct ev_loop *lp, ev_io *io, int revents);

/* Passes on a message that the server has compressed. */
static void
inflated(struct link *l, int opcode, const char *p, size_t n)
{
    const char *text;
    size_t      len;

    if (deflate_inflate(p, n, LINK_MESSAGE_MAX, &text, &len) == DEFLATE_OK)
        ops->message(l, opcode, text, len);
    else
        ops->message(l, opcode, p, 0); /* this is reported as not OCPP-J */
    deflate_done();
}

static void
on_message(void *owner, int opcode, const char *p, size_t n, bool compressed)
{
    struct link *l = owner;

    if (compressed) {
        if (l->deflate)
            inflated(l, opcode, p, n);
        else
            ops->message(l, opcode, p, 0);
        return;
    }
    if (opcode == LEASE_PING)
        link_totals.pings_in++;
    else if (opcode == LEASE_PONG)
        link_totals.pongs_in++;
    ops->message(owner, opcode, p, n);
}

void
link_setup(struct ev_loop *lp, const struct link_ops *o, bool deflate)
{
    offers_deflate = deflate;
    loop = lp;
    ops = o;
    lease_setup(&gather, on_message);
}

void
link_init(struct link *l)
{
    memset(l, 0, sizeof *l);
    ev_io_init(&l->io, link_io_cb, -1, 0);
}

static void
listen_for(struct link *l, int events)
{
    int now = l->io.events & (EV_READ | EV_WRITE);

    if (ev_is_active(&l->io) && now == events)
        return;
    ev_io_stop(loop, &l->io);
    if (events == 0)
        return;
    ev_io_set(&l->io, l->io.fd, events);
    ev_io_start(loop, &l->io);
}

/* A slow link is read when its owner calls link_read(), and not when its socket
 * is readable. */
static void
listen_again(struct link *l)
{
    int events = l->slow && l->state >= LINK_OPEN ? 0 : EV_READ;

    if (l->unsent != NULL)
        events |= EV_WRITE;
    listen_for(l, events);
}

static int
detach(struct link *l)
{
    int fd = l->io.fd;

    ev_io_stop(loop, &l->io);
    ev_io_set(&l->io, -1, 0);
    if (l->partial != NULL) {
        if (l->partial->lease != NULL && l->partial->lease != active)
            lease_give(l->partial->lease, true);
        free(l->partial);
        l->partial = NULL;
    }
    if (l->unsent != NULL) {
        buf_free(l->unsent);
        free(l->unsent);
        l->unsent = NULL;
    }
    secure_drop(&l->secure);
    l->state = LINK_DOWN;
    if (active != NULL && active->owner == l)
        active->doomed = true;
    return fd;
}

static void
end(struct link *l, enum link_end why, int code, const char *reason)
{
    close(detach(l));
    ops->down(l, why, code, reason);
}

void
link_drop(struct link *l, bool reset)
{
    if (l->state == LINK_DOWN)
        return;
    int fd = detach(l);
    if (reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    close(fd);
}

int
link_abandon(struct link *l)
{
    return l->state == LINK_DOWN ? -1 : detach(l);
}

/* A send that fails because the connection has ended reports nothing, because
 * the next read reports it. */
static void
put_wire(struct link *l, const char *p, size_t n)
{
    if (l->unsent == NULL) {
        ssize_t sent = send(l->io.fd, p, n, MSG_NOSIGNAL);
        if (sent < 0) {
            /* Any other error is reported by the read, after the bytes that the
             * server has sent before. */
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOTCONN)
                return;
            sent = 0;
        }
        link_totals.bytes_out += (uint64_t)sent;
        if ((size_t)sent == n)
            return;
        p += sent;
        n -= (size_t)sent;
        l->unsent = malloc(sizeof *l->unsent);
        ensure(l->unsent != NULL);
        *l->unsent = BUF_INIT(16u * LINK_MESSAGE_MAX);
    }
    buf_add(l->unsent, p, n);
    listen_again(l);
}

static void
put(struct link *l, const char *p, size_t n)
{
    if (l->secure.on)
        p = secure_seal(&l->secure, p, n, &n);
    if (n > 0)
        put_wire(l, p, n);
}

static void
put_again(struct link *l)
{
    ssize_t sent = send(l->io.fd, l->unsent->p, l->unsent->len, MSG_NOSIGNAL);

    if (sent < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        sent = (ssize_t)l->unsent->len;
    } else {
        link_totals.bytes_out += (uint64_t)sent;
    }
    buf_consume(l->unsent, (size_t)sent);
    if (l->unsent->len == 0) {
        buf_free(l->unsent);
        free(l->unsent);
        l->unsent = NULL;
        listen_again(l);
    }
}

bool
link_connect(struct link *l, const struct sockaddr *to, socklen_t to_len,
    const struct sockaddr *from, socklen_t from_len)
{
    int one = 1, least = 1;
    int fd =
        socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    ensure(l->state == LINK_DOWN);
    if (fd < 0)
        return false;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (l->slow)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    if (from != NULL) {
        /* The port is chosen by connect() for the whole four-tuple, so each
         * source address can use all its ports for each target. */
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, from, from_len) < 0)
            goto fail;
    }
    if (connect(fd, to, to_len) < 0 && errno != EINPROGRESS)
        goto fail;
    /* On loopback the connection is already established, which saves a turn
     * through epoll. An error of connect() is detected here too. */
    ensure(active == NULL);
    buf_clear(&gather);
    if (secure_wanted())
        ensure(secure_start(&l->secure, &gather));
    else
        ops->request(l, &gather);
    ssize_t sent = send(fd, gather.p, gather.len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK &&
        errno != ENOTCONN)
        goto fail;
    ev_io_set(&l->io, fd, 0);
    if (sent == (ssize_t)gather.len) {
        link_totals.bytes_out += gather.len;
        l->state = l->secure.on ? LINK_SECURING : LINK_HANDSHAKE;
        listen_for(l, EV_READ);
    } else {
        ensure(sent < 0);
        l->state = LINK_CONNECTING;
        listen_for(l, EV_WRITE);
    }
    return true;
fail:;
    int saved = errno;
    secure_drop(&l->secure);
    close(fd);
    errno = saved;
    return false;
}

static void
connected(struct link *l)
{
    int       error = 0;
    socklen_t len = sizeof error;

    getsockopt(l->io.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        end(l, LINK_END_CONNECT, error, strerror(error));
        return;
    }
    buf_clear(&gather);
    if (l->secure.on) {
        /* The first bytes could not be sent, and are made again later. */
        secure_drop(&l->secure);
        ensure(secure_start(&l->secure, &gather));
        l->state = LINK_SECURING;
        put_wire(l, gather.p, gather.len);
        listen_again(l);
        return;
    }
    l->state = LINK_HANDSHAKE;
    ops->request(l, &gather);
    put(l, gather.p, gather.len);
    listen_again(l);
}

/* --- frames -------------------------------------------------------------- */

/* Finds how many bytes of whole frames there are. If pings are not to be
 * answered, they are cut out here, because wslay would answer them. */
static bool
whole_frames(struct link *l, uint8_t *p, size_t *n, size_t *whole)
{
    size_t at = 0;

    while (at < *n) {
        int64_t size = lease_frame_size(p + at, *n - at);
        if (size < 0)
            return false;
        if (size == 0 || (uint64_t)size > *n - at)
            break;
        if (l->mute && (p[at] & 0x0f) == LEASE_PING) {
            on_message(l, LEASE_PING, (const char *)p + at + 2,
                (size_t)size - 2, false);
            memmove(p + at, p + at + size, *n - at - (size_t)size);
            *n -= (size_t)size;
            continue;
        }
        at += (size_t)size;
    }
    *whole = at;
    return true;
}

static void
keep_rest(struct link *l, struct lease *lease, const uint8_t *p, size_t n)
{
    free(l->partial);
    l->partial = NULL;
    if (n == 0 && lease == NULL)
        return;
    l->partial = malloc(sizeof *l->partial + n);
    ensure(l->partial != NULL);
    l->partial->lease = lease;
    l->partial->len = n;
    memcpy(l->partial->bytes, p, n);
}

static void
frames(struct link *l, uint8_t *p, size_t n)
{
    size_t        whole;
    struct lease *lease = l->partial != NULL ? l->partial->lease : NULL;

    if (!whole_frames(l, p, &n, &whole)) {
        end(l, LINK_END_PROTOCOL, 1002, "masked or oversized server frame");
        return;
    }
    if (whole == 0) {
        keep_rest(l, lease, p, n);
        /* A link that does not answer pings may have received some. */
        if (l->mute && ops->done != NULL)
            ops->done(l);
        return;
    }
    if (lease == NULL)
        lease = lease_take(l);
    keep_rest(l, NULL, p + whole, n - whole);
    active = lease;
    buf_clear(&gather);
    bool fine = lease_feed(lease, p, whole);
    active = NULL;
    if (lease->doomed) {
        lease_give(lease, true);
        return;
    }
    /* In CLOSING, this side has sent its close frame already, and the server's
     * one is the answer. */
    if (gather.len > 0 && l->state == LINK_OPEN)
        put(l, gather.p, gather.len);
    if (lease->closed) {
        enum link_end why =
            l->state == LINK_CLOSING ? LINK_END_BYE : LINK_END_CLOSED;
        int  code = lease->code;
        char reason[sizeof lease->reason];
        memcpy(reason, lease->reason, sizeof reason);
        lease_give(lease, true);
        end(l, why, code, reason);
        return;
    }
    if (!fine) {
        lease_give(lease, true);
        end(l, LINK_END_PROTOCOL, 1002, "malformed server frame");
        return;
    }
    if (lease->open)
        keep_rest(l, lease, p + whole, n - whole);
    else
        lease_give(lease, false);
    if (ops->done != NULL)
        ops->done(l);
}

static long
handshake(struct link *l, const char *p, size_t n)
{
    struct upgrade_answer answer;
    long                  head = upgrade_read(&answer, p, n);

    if (head == 0)
        return 0;
    if (head < 0) {
        end(l, LINK_END_HANDSHAKE, 0, "the answer is no HTTP");
        return -1;
    }
    if (answer.status != 101) {
        end(l, LINK_END_REFUSED, answer.status, answer.reason);
        return -1;
    }
    if (!answer.accepted || answer.extended ||
        (answer.deflate && !offers_deflate)) {
        end(l, LINK_END_HANDSHAKE, 0,
            answer.accepted
                ? "the server has accepted an extension that was not offered"
                : "Sec-WebSocket-Accept is missing or wrong");
        return -1;
    }
    l->state = LINK_OPEN;
    l->deflate = answer.deflate;
    listen_again(l);
    ops->open(l, &answer);
    return l->state == LINK_DOWN ? -1 : head;
}

/* Decrypts n bytes from the socket into out. Returns the number of plain bytes;
 * 0 if there are none yet, -1 if the link has ended. */
static ssize_t
read_secure(struct link *l, const uint8_t *wire, size_t n, uint8_t *out)
{
    bool        done = false;
    const char *why = NULL;

    buf_clear(&gather);
    long got = secure_read(&l->secure, wire, n, out, &gather, &done, &why);
    if (gather.len > 0)
        put_wire(l, gather.p, gather.len);
    if (got < 0) {
        end(l, l->state == LINK_SECURING ? LINK_END_HANDSHAKE : LINK_END_LOST,
            0, why);
        return -1;
    }
    if (done) {
        l->state = LINK_HANDSHAKE;
        buf_clear(&gather);
        ops->request(l, &gather);
        put(l, gather.p, gather.len);
    }
    return got;
}

void
link_read(struct link *l, size_t most)
{
    size_t have = 0;

    if (l->state < LINK_SECURING)
        return;
    if (l->partial != NULL) {
        have = l->partial->len;
        memcpy(arrived, l->partial->bytes, have);
    }
    if (most > sizeof arrived - have)
        most = sizeof arrived - have;
    static uint8_t wire[READ_SIZE];
    if (l->secure.on && most > sizeof wire)
        most = sizeof wire;
    ssize_t got = recv(l->io.fd, l->secure.on ? wire : arrived + have, most, 0);
    if (got <= 0) {
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        int code = got < 0 ? errno : 0;
        end(l, LINK_END_LOST, code, code ? strerror(code) : "end of stream");
        return;
    }
    link_totals.bytes_in += (uint64_t)got;
    if (l->secure.on) {
        got = read_secure(l, wire, (size_t)got, arrived + have);
        if (got <= 0)
            return;
    }
    have += (size_t)got;
    uint8_t *p = arrived;
    if (l->state == LINK_HANDSHAKE) {
        long head = handshake(l, (const char *)p, have);
        if (head < 0)
            return;
        if (head == 0) {
            keep_rest(l, NULL, p, have);
            return;
        }
        /* open() may have sent something, but the bytes in `arrived` are still
         * valid. */
        p += head;
        have -= (size_t)head;
        keep_rest(l, NULL, p, 0);
        if (have == 0)
            return;
    }
    frames(l, p, have);
}

static void
link_io_cb(struct ev_loop *lp, ev_io *io, int revents)
{
    /* io is the first member. */
    struct link *l = (struct link *)(void *)io;

    (void)lp;
    if (l->state == LINK_CONNECTING) {
        connected(l);
        return;
    }
    if ((revents & EV_WRITE) && l->unsent != NULL)
        put_again(l);
    if (revents & EV_READ)
        link_read(l, READ_SIZE);
}

/* --- sending ------------------------------------------------------------- */

static bool
sendable(const struct link *l)
{
    return l->state == LINK_OPEN;
}

void
link_send(struct link *l, int opcode, const void *p, size_t n)
{
    static struct buf compressed = BUF_INIT(LINK_MESSAGE_MAX);
    bool              rsv1 = false;

    if (!sendable(l))
        return;
    if (l->deflate && opcode == 1 && n >= DEFLATE_FROM &&
        deflate_compress(p, n, DEFLATE_WINDOW, &compressed)) {
        p = compressed.p;
        n = compressed.len;
        rsv1 = true;
    }
    if (active != NULL) {
        /* The frame is sent with all others when this read has ended. */
        ensure(active->owner == l);
        lease_queue(active, opcode, p, n, rsv1);
        return;
    }
    struct lease *lease = l->partial != NULL && l->partial->lease != NULL
        ? l->partial->lease
        : lease_take(l);
    buf_clear(&gather);
    lease_queue(lease, opcode, p, n, rsv1);
    lease_write(lease);
    put(l, gather.p, gather.len);
    if (l->partial == NULL || l->partial->lease != lease)
        lease_give(lease, false);
}

void
link_send_raw(struct link *l, const void *p, size_t n)
{
    if (!sendable(l))
        return;
    if (active != NULL && active->owner == l)
        buf_add(&gather, p, n);
    else
        put(l, p, n);
}

void
link_close(struct link *l, int code, const char *reason)
{
    struct lease *lease;

    if (l->state != LINK_OPEN)
        return;
    ensure(active == NULL);
    /* It takes another context, because a close frame makes a context
     * unusable. */
    lease = lease_take(l);
    buf_clear(&gather);
    lease_close(lease, code, reason);
    put(l, gather.p, gather.len);
    lease_give(lease, true);
    l->state = LINK_CLOSING;
}
