/* conn: one TCP connection, from accept to close. See conn.h. */
#include "net/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ensure.h"
#include "base/self.h"

#define NO_CONN UINT32_MAX
#define READ_SIZE 65536

static struct conn *slab;
static uint32_t     capacity, high;
static uint32_t     free_head = NO_CONN, dead_head = NO_CONN;
static ev_prepare   bury;
static uint8_t      input[READ_SIZE]; /* one read's bytes, for all */

/* The output of the connection that is being served: it is sent before
 * another one is served, so most connections never own an output buffer. */
static struct buf   turn;
static struct conn *turn_of;

/* --- the transport: plain TCP -------------------------------------------- */

static ssize_t
transport_read(struct conn *c, void *p, size_t n)
{
    return recv(c->io.fd, p, n, 0);
}

static ssize_t
transport_write(struct conn *c, const void *p, size_t n)
{
    return send(c->io.fd, p, n, MSG_NOSIGNAL);
}

static void
transport_close(struct conn *c)
{
    close(c->io.fd);
}

/* --- slab ---------------------------------------------------------------- */

static void
free_busy(struct conn *c)
{
    if (c->busy == NULL)
        return;
    buf_free(&c->busy->in);
    buf_free(&c->busy->out);
    free(c->busy);
    c->busy = NULL;
}

static void
bury_cb(struct ev_loop *loop, ev_prepare *w, int revents)
{
    while (dead_head != NO_CONN) {
        struct conn *c = &slab[dead_head];
        dead_head = c->next;
        if (c->ws != NULL)
            ws_return(c->ws);
        free_busy(c);
        transport_close(c);
        memset(c, 0, sizeof *c);
        c->next = free_head;
        free_head = conn_index(c);
    }
}

void
conn_init(uint32_t n)
{
    /* Reserved, not used: pages come with the connections. */
    capacity = n < CREF_INDEXES ? n : CREF_INDEXES;
    slab = mmap(NULL, capacity * sizeof *slab, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ensure(slab != MAP_FAILED);
    ev_prepare_init(&bury, bury_cb);
    ev_prepare_start(self.loop, &bury);
}

uint32_t
conn_index(const struct conn *c)
{
    return (uint32_t)(c - slab);
}

struct conn *
conn_at(uint32_t index)
{
    ensure(index < high);
    return &slab[index];
}

uint32_t
conn_high(void)
{
    return high;
}

struct conn *
conn_find(cref name)
{
    uint32_t i = cref_index(name);

    if (name == 0 || cref_slot(name) != self.slot || i >= high ||
        slab[i].self != name || slab[i].state != CONN_OPEN)
        return NULL;
    return &slab[i];
}

/* --- output -------------------------------------------------------------- */

struct busy *
conn_busy(struct conn *c)
{
    if (c->busy == NULL) {
        c->busy = calloc(1, sizeof *c->busy);
        if (c->busy == NULL)
            return NULL;
        c->busy->in.max = self.conf.websocket_max_handshake_size;
        c->busy->out.max = self.conf.websocket_max_output_size;
    }
    return c->busy;
}

bool
conn_output_waits(const struct conn *c)
{
    return (c->busy != NULL && c->busy->out.len > 0) ||
        (turn_of == c && turn.len > 0);
}

struct buf *
conn_out(struct conn *c)
{
    if (c->busy != NULL && c->busy->out.len > 0)
        return &c->busy->out;
    if (turn_of != NULL && turn_of != c)
        conn_settle(turn_of);
    turn_of = c;
    turn.max = self.conf.websocket_max_output_size;
    return &turn;
}

static void
watch(struct conn *c, int events)
{
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

static void
broken(struct conn *c, enum close_reason reason)
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
        ssize_t r = transport_write(c, p + done, n - done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (r < 0) {
            broken(c, CLOSE_peer_vanished);
            return -1;
        }
        STAT_ADD(self.st, bytes_out, (uint64_t)r);
        done += (size_t)r;
        /* A short count means a full socket: epoll tells when it is not. */
        if (done < n)
            break;
    }
    return (ssize_t)(n - done);
}

/* False if the connection died of it. */
static bool
flush(struct conn *c)
{
    if (turn_of == c) {
        turn_of = NULL;
        if (turn.overflow) {
            buf_clear(&turn);
            broken(c, CLOSE_slow_reader);
            return false;
        }
        ssize_t left = turn.len == 0 ? 0 : push(c, turn.p, turn.len);
        size_t  sent = left < 0 ? turn.len : turn.len - (size_t)left;
        if (left > 0) {
            struct busy *b = conn_busy(c);
            if (b == NULL || !buf_add(&b->out, turn.p + sent, (size_t)left)) {
                buf_clear(&turn);
                broken(c, CLOSE_out_of_memory);
                return false;
            }
            b->stuck_ms = self.now_ms;
        }
        buf_clear(&turn);
        if (left < 0)
            return false;
    } else if (c->busy != NULL && c->busy->out.len > 0) {
        struct buf *out = &c->busy->out;
        if (out->overflow) {
            broken(c, CLOSE_slow_reader);
            return false;
        }
        size_t  had = out->len;
        ssize_t left = push(c, out->p, had);
        if (left < 0)
            return false;
        if ((size_t)left < had)
            c->busy->stuck_ms = self.now_ms;
        buf_consume(out, had - (size_t)left);
    }
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
            broken(c, CLOSE_slow_reader);
            return;
        }
        /* Behind so much output pongs were held back: ask again. */
        more = conn_out(c)->len >= WS_OUTPUT_ENOUGH;
        if (!flush(c))
            return;
    } while (more && !conn_output_waits(c));
    if (c->ws != NULL && ws_clean(c->ws)) {
        ws_return(c->ws);
        c->ws = NULL;
    }
    bool waits = c->busy != NULL && c->busy->out.len > 0;
    if (!waits && (c->flags & (CONN_FINISHING | CONN_SHUT)) == CONN_FINISHING) {
        c->flags |= CONN_SHUT;
        shutdown(c->io.fd, SHUT_WR);
    }
    watch(c, EV_READ | (waits ? EV_WRITE : 0));
    if (c->busy != NULL && !waits && c->state != CONN_HANDSHAKE &&
        c->busy->calls == NULL)
        free_busy(c);
}

bool
conn_send_text(struct conn *c, const char *text, size_t len)
{
    if (!frame_put(conn_out(c), &c->ws_bits, FRAME_TEXT, text, len))
        return false;
    c->messages_out++;
    STAT_INC(self.st, messages_out);
    return true;
}

bool
conn_ping(struct conn *c)
{
    /* The time it left, so that any pong tells the round trip. */
    uint8_t frame[FRAME_HEAD_OUT + sizeof self.now_ms];

    if (conn_output_waits(c) || c->ws_bits != 0)
        return false;
    size_t n = frame_head(frame, FRAME_PING, sizeof self.now_ms);
    memcpy(frame + n, &self.now_ms, sizeof self.now_ms);
    n += sizeof self.now_ms;
    ssize_t r = transport_write(c, frame, n);
    if (r == (ssize_t)n) {
        c->pinged_ms = self.now_ms;
        STAT_ADD(self.st, bytes_out, n);
        return true;
    }
    if (r > 0) {
        /* Half a frame cannot be taken back: the rest must follow. */
        struct busy *b = conn_busy(c);
        if (b == NULL || !buf_add(&b->out, frame + r, n - (size_t)r)) {
            broken(c, CLOSE_out_of_memory);
        } else {
            b->stuck_ms = self.now_ms;
            watch(c, EV_READ | EV_WRITE);
        }
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

    if (revents & EV_READ) {
        ssize_t n = transport_read(c, input, sizeof input);
        if (n > 0) {
            STAT_ADD(self.st, bytes_in, (uint64_t)n);
            c->last_in_ms = self.now_ms;
            if (c->state == CONN_HANDSHAKE || c->state == CONN_OPEN ||
                c->state == CONN_CLOSING)
                up_bytes(c, input, (size_t)n);
        } else if (n == 0 ||
            (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
            broken(c, CLOSE_peer_vanished);
        }
    }
    conn_settle(c);
}

struct conn *
conn_new(int fd, const uint64_t addr[2], uint16_t port)
{
    uint32_t i = free_head;

    if (i == NO_CONN) {
        if (high == capacity) {
            close(fd);
            return NULL;
        }
        i = high++;
    } else {
        free_head = slab[i].next;
    }
    struct conn *c = &slab[i];
    struct busy *b = conn_busy(c);
    if (b == NULL) {
        c->next = free_head;
        free_head = i;
        close(fd);
        return NULL;
    }
    c->state = CONN_HANDSHAKE;
    c->rtt_ms = UINT16_MAX;
    c->opened_ms = c->last_in_ms = self.now_ms;
    b->addr[0] = addr[0];
    b->addr[1] = addr[1];
    b->port = port;
    b->began_us = self.now_us;
    ev_io_init(&c->io, io_cb, fd, EV_READ);
    ev_io_start(self.loop, &c->io);
    return c;
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
    ev_io_stop(self.loop, &c->io);
    up_gone(c);
    c->state = CONN_DEAD;
    c->next = dead_head;
    dead_head = conn_index(c);
}
