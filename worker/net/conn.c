/* conn: one TCP connection, from accept to close. See conn.h. */
#include "net/conn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/self.h"
#include "base/up.h"
#include "ensure.h"
#include "net/conn_slab.h"
#include "net/deflate.h"
#include "net/transport.h"

#define READ_SIZE 65536
/* Bytes of the buffer for compressed output that are kept. */
#define COMPRESSED_KEPT 65536

/* Bytes of a read that may hold compressed messages. They become up to 4 MiB,
 * and other connections are served before the next ones are read. */
#define COMPRESSED_READ 4096

static uint8_t input[READ_SIZE]; /* the bytes of the last read; shared by all
                                    connections */

/* The output of the connection that is being served. It is sent before the next
 * connection is served, so most connections never own an output buffer. */
static struct buf   turn;
static struct conn *turn_of;

/* --- output -------------------------------------------------------------- */

static bool
wire_waits(const struct conn *c)
{
    return c->busy != NULL && c->busy->out.len > 0;
}

bool
conn_output_waits(const struct conn *c)
{
    return wire_waits(c) || (turn_of == c && turn.len > 0);
}

struct buf *
conn_out(struct conn *c)
{
    if (turn_of != NULL && turn_of != c)
        conn_settle(turn_of);
    turn_of = c;
    turn.max = self.conf.websocket_max_output_size;
    return &turn;
}

static void
watch(struct conn *c, int events)
{
    if (self.frozen)
        return;
    if (c->flags & (CONN_PAUSED | CONN_SLOWED))
        events &= ~EV_READ;
    if (ev_is_active(&c->io) && (c->io.events & (EV_READ | EV_WRITE)) == events)
        return;
    ev_io_stop(self.loop, &c->io);
    if (events != 0) {
        ev_io_modify(&c->io, events);
        ev_io_start(self.loop, &c->io);
    }
}

void
conn_broken(struct conn *c, enum close_reason reason)
{
    if (c->state == CONN_HANDSHAKE || c->state == CONN_OPEN)
        up_broken(c, reason);
    conn_kill(c);
}

/* Sends p[0..n); returns what is left, or -1 after the connection died. */
static ssize_t
push(struct conn *c, const char *p, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t r = send(c->io.fd, p + done, n - done, MSG_NOSIGNAL);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (r < 0) {
            conn_broken(c, CLOSE_peer_vanished);
            return -1;
        }
        STAT_ADD(self.st, bytes_out, (uint64_t)r);
        done += (size_t)r;
        /* A short count means that the socket is full; epoll reports when it
           has room again. */
        if (done < n)
            break;
    }
    return (ssize_t)(n - done);
}

/* Keeps wire bytes that must follow those already sent; false if the connection
   died. */
static bool
keep_wire(struct conn *c, const char *p, size_t n)
{
    struct busy *b = conn_busy(c);

    if (b == NULL || !buf_add(&b->out, p, n)) {
        conn_broken(c,
            b != NULL && b->out.overflow ? CLOSE_slow_reader
                                         : CLOSE_out_of_memory);
        return false;
    }
    return true;
}

bool
conn_send_wire(struct conn *c, const void *p, size_t n)
{
    if (wire_waits(c))
        return keep_wire(c, p, n);
    ssize_t left = push(c, p, n);
    if (left <= 0)
        return left == 0;
    if (!keep_wire(c, (const char *)p + (n - (size_t)left), (size_t)left))
        return false;
    c->busy->stuck_ms = self.now_ms;
    return true;
}

/* Sends the bytes that busy->out has kept. */
static bool
flush_wire(struct conn *c)
{
    struct buf *out = &c->busy->out;
    size_t      had = out->len;
    ssize_t     left = push(c, out->p, had);

    if (left < 0)
        return false;
    if ((size_t)left < had)
        c->busy->stuck_ms = self.now_ms;
    buf_consume(out, had - (size_t)left);
    return true;
}

/* False if the connection died. */
static bool
flush(struct conn *c)
{
    struct wire w;

    if (wire_waits(c) && !flush_wire(c))
        return false;
    if (turn_of != c)
        return true;
    turn_of = NULL;
    bool alive = true;
    if (turn.overflow) {
        conn_broken(c, CLOSE_slow_reader);
        alive = false;
    } else if (turn.len > 0) {
        if (transport_of(c)->wrap(c, turn.p, turn.len, &w)) {
            alive = conn_send_wire(c, w.p, w.len);
        } else {
            conn_broken(c, CLOSE_out_of_memory);
            alive = false;
        }
    }
    buf_clear(&turn);
    return alive;
}

/* Shuts down the outbound direction, after the last bytes of the transport. */
static bool
shut(struct conn *c)
{
    struct wire w;

    c->flags |= CONN_SHUT;
    transport_of(c)->finish(c, &w);
    if (w.len > 0 && !conn_send_wire(c, w.p, w.len))
        return false;
    shutdown(c->io.fd, SHUT_WR);
    return true;
}

void
conn_settle(struct conn *c)
{
    if (c->state == CONN_DEAD || c->state == CONN_FREE)
        return;
    bool more;
    do {
        if (c->ws != NULL && !ws_output(c->ws, conn_out(c))) {
            conn_broken(c, CLOSE_slow_reader);
            return;
        }
        /* So much output was waiting that pongs were held back; ask for them
           again. */
        more = conn_out(c)->len >= WS_OUTPUT_ENOUGH;
        if (!flush(c))
            return;
    } while (more && !conn_output_waits(c));
    if (c->ws != NULL && ws_clean(c->ws)) {
        ws_return(c->ws);
        c->ws = NULL;
    }
    bool waits = wire_waits(c);
    if (!waits && (c->flags & (CONN_FINISHING | CONN_SHUT)) == CONN_FINISHING &&
        !shut(c))
        return;
    watch(c, EV_READ | (waits ? EV_WRITE : 0));
    if (c->busy != NULL && !waits && c->state != CONN_HANDSHAKE &&
        c->busy->session.calls == NULL && c->busy->tail.len == 0)
        conn_slab_free_busy(c);
}

bool
conn_send_text(struct conn *c, const char *text, size_t len)
{
    static struct buf compressed = {.max = INT32_MAX};
    unsigned          window = frame_window(c->ws_bits);

    if (window != 0 && len >= self.conf.websocket_compress_from &&
        deflate_compress(text, len, window, &compressed)) {
        if (!frame_put_compressed(conn_out(c), &c->ws_bits, FRAME_TEXT,
                compressed.p, compressed.len))
            return false;
        STAT_INC(self.st, compressed_out);
        STAT_ADD(self.st, compression_saved, len - compressed.len);
        if (compressed.cap > COMPRESSED_KEPT)
            buf_free(&compressed);
    } else if (!frame_put(conn_out(c), &c->ws_bits, FRAME_TEXT, text, len)) {
        return false;
    }
    c->session.messages_out++;
    STAT_INC(self.st, messages_out);
    return true;
}

bool
conn_ping(struct conn *c)
{
    /* The payload is the time of sending, so that the pong gives the round trip
       time. */
    uint8_t frame[FRAME_HEAD_OUT + sizeof self.now_ms];

    if (conn_output_waits(c) || (c->ws_bits & FRAME_CLOSING))
        return false;
    size_t n = frame_head(frame, FRAME_PING, sizeof self.now_ms);
    memcpy(frame + n, &self.now_ms, sizeof self.now_ms);
    n += sizeof self.now_ms;
    struct wire w;
    if (!transport_of(c)->wrap(c, frame, n, &w))
        return false;
    ssize_t r = send(c->io.fd, w.p, w.len, MSG_NOSIGNAL);
    if (r == (ssize_t)w.len) {
        c->pinged_ms = self.now_ms;
        STAT_ADD(self.st, bytes_out, w.len);
        return true;
    }
    if (r <= 0) {
        transport_of(c)->unwrap(c);
    } else if (keep_wire(c, w.p + r, w.len - (size_t)r)) {
        /* Part of the frame was sent, so the rest must follow. */
        c->busy->stuck_ms = self.now_ms;
        watch(c, EV_READ | EV_WRITE);
    }
    return false;
}

void
conn_pause(struct conn *c, bool paused)
{
    if (paused == !!(c->flags & CONN_PAUSED))
        return;
    c->flags ^= CONN_PAUSED;
    watch(c, EV_READ | (conn_output_waits(c) ? EV_WRITE : 0));
}

void
conn_slow(struct conn *c, bool slowed)
{
    if (slowed == !!(c->flags & CONN_SLOWED))
        return;
    c->flags ^= CONN_SLOWED;
    watch(c, EV_READ | (conn_output_waits(c) ? EV_WRITE : 0));
}

/* --- life ---------------------------------------------------------------- */

static void
io_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct conn *c = (struct conn *)w;

    (void)loop;
    if (self.frozen) {
        ev_io_stop(self.loop, w);
        return;
    }
    if (revents & EV_READ) {
        bool inflates =
            c->state == CONN_HANDSHAKE || frame_window(c->ws_bits) != 0;
        ssize_t n =
            recv(c->io.fd, input, inflates ? COMPRESSED_READ : sizeof input, 0);
        if (n > 0) {
            STAT_ADD(self.st, bytes_in, (uint64_t)n);
            c->last_in_ms = self.now_ms;
            if (c->state == CONN_HANDSHAKE || c->state == CONN_OPEN ||
                c->state == CONN_CLOSING)
                transport_received(c, input, (size_t)n);
        } else if (n == 0 ||
            (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
            conn_broken(c, CLOSE_peer_vanished);
        }
    }
    conn_settle(c);
}

struct conn *
conn_new(int fd, enum listener_kind kind, const uint64_t addr[2], uint16_t port,
    bool proxy)
{
    struct conn *c = conn_slab_take();
    struct busy *b = c != NULL ? conn_busy(c) : NULL;

    if (b == NULL) {
        if (c != NULL)
            conn_slab_put(c);
        close(fd);
        return NULL;
    }
    c->state = CONN_HANDSHAKE;
    c->kind = (uint8_t)kind;
    c->session.rtt_ms = UINT16_MAX;
    c->opened_ms = c->last_in_ms = self.now_ms;
    b->handshake.addr[0] = addr[0];
    b->handshake.addr[1] = addr[1];
    b->handshake.port = port;
    b->handshake.began_us = self.now_us;
    b->handshake.proxy = proxy;
    ev_io_init(&c->io, io_cb, fd, EV_READ);
    ev_io_start(self.loop, &c->io);
    return c;
}

struct conn *
conn_adopt(int fd, uint32_t index)
{
    struct conn *c = conn_slab_take_at(index);

    if (c != NULL)
        ev_io_init(&c->io, io_cb, fd, EV_READ);
    return c;
}

void
conn_forget(struct conn *c)
{
    ensure(turn_of != c);
    ev_io_stop(self.loop, &c->io);
    conn_slab_bury(c);
}

void
conn_finish(struct conn *c)
{
    c->flags |= CONN_FINISHING;
}

void
conn_kill(struct conn *c)
{
    if (c->state == CONN_DEAD || c->state == CONN_FREE)
        return;
    if (turn_of == c) {
        turn_of = NULL;
        buf_clear(&turn);
    }
    up_gone(c);
    /* The end of a session lets a paused connection read again, which starts
     * the watcher. */
    ev_io_stop(self.loop, &c->io);
    conn_slab_bury(c);
}

void
conn_cut(struct conn *c)
{
    if (c->state == CONN_DEAD || c->state == CONN_FREE)
        return;
    conn_kill(c);
    close(c->io.fd);
    c->io.fd = -1;
}

bool
conn_net_quiet(const struct conn *c)
{
    return c->state == CONN_OPEN && c->flags == 0 && c->ws == NULL &&
        !(c->ws_bits & FRAME_CLOSING) && !conn_output_waits(c) &&
        transport_of(c)->quiet(c);
}
