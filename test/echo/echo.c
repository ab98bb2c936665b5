/*
 * echo: a WebSocket server that returns every message.
 *
 *     echo 127.0.0.1 9001 [max_message]
 *
 * It uses only the files http, frame and ws of the gateway, so that a
 * conformance suite for RFC 6455 can test them. It prints "listening on
 * <address> <port>" when it is ready (for port 0 it chooses a free one), and
 * runs until it is killed. SIGTERM and SIGINT end it in an orderly way, so that
 * a leak checker can report.
 *
 * While the peer does not read, nothing is read from the peer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "net/deflate.h"
#include "net/frame.h"
#include "net/http.h"
#include "net/ws.h"

#define REQUEST_MAX 8192
#define SCRATCH (64 * 1024)
#define OUT_HIGH (64 * 1024) /* unsent bytes at which reading stops */
#define LINGER_S 2.0 /* time for the peer to close after the last frame */

struct peer {
    ev_io               io;
    ev_timer            linger;
    struct peer        *prev, *next;
    int                 fd;
    uint8_t             bits;
    bool                open; /* the handshake is done */
    bool                last; /* the input is read only to detect its end */
    bool                shut; /* the sending direction is closed */
    struct http_request request;
    struct buf          in; /* the request of the handshake */
    struct buf          out;
    struct ws          *ws;
};

static struct ev_loop *loop;
static struct peer     peers = {.prev = &peers, .next = &peers};
static size_t          max_message = 64u << 20;
static uint8_t         scratch[SCRATCH];

static void
peer_free(struct peer *p)
{
    ev_io_stop(loop, &p->io);
    ev_timer_stop(loop, &p->linger);
    close(p->fd);
    if (p->ws)
        ws_return(p->ws);
    buf_free(&p->in);
    buf_free(&p->out);
    p->prev->next = p->next;
    p->next->prev = p->prev;
    free(p);
}

void
up_inflated(void *owner, size_t len)
{
    (void)owner, (void)len;
}

bool
up_message(void *owner, unsigned opcode, const char *data, size_t len)
{
    struct peer *p = owner;

    ws_output(p->ws, &p->out); /* pongs that are due precede the message */
    static struct buf small = {.max = INT32_MAX};
    unsigned          window = frame_window(p->bits);
    if (window != 0 && deflate_compress(data, len, window, &small))
        frame_put_compressed(&p->out, &p->bits, opcode, small.p, small.len);
    else
        frame_put(&p->out, &p->bits, opcode, data, len);
    return true;
}

bool
up_pong(void *owner, const uint8_t *data, size_t len)
{
    (void)owner;
    (void)data;
    (void)len;
    return true;
}

void
up_close(void *owner, int status, const char *reason, size_t len)
{
    (void)owner;
    (void)status;
    (void)reason;
    (void)len;
}

static void
peer_handshake(struct peer *p)
{
    static const char *const versions[] = {"ocpp2.1", "ocpp2.0.1", "ocpp1.6"};
    struct http_request     *r = &p->request;
    char                     accept[HTTP_ACCEPT_LEN + 1];

    switch (http_parse(p->in.p, p->in.len, r)) {
    case HTTP_INCOMPLETE:
        if (p->in.len < REQUEST_MAX)
            return;
        http_put_refusal(&p->out, 431, 0, "The request is too long.");
        p->last = true;
        return;
    case HTTP_ERROR:
        http_put_refusal(&p->out, r->status, 0, r->sentence);
        p->last = true;
        return;
    case HTTP_COMPLETE:
        break;
    }
    http_accept_key(r->key, accept);
    int      v = http_pick_subprotocol(r, versions, 3);
    char     answer[DEFLATE_ANSWER_LEN];
    unsigned window = 0;
    for (unsigned i = 0; i < r->extensions.n && window == 0; i++)
        window = deflate_negotiate(
            r->extensions.line[i].p, r->extensions.line[i].n, answer);
    p->bits = (uint8_t)(window << FRAME_WINDOW_SHIFT);
    http_put_switching(
        &p->out, accept, v < 0 ? NULL : versions[v], window ? answer : NULL);
    p->open = true;
}

static void
peer_frames(struct peer *p, const uint8_t *data, size_t n)
{
    if (p->ws == NULL)
        p->ws = ws_borrow(p, &p->bits, max_message);
    if (p->ws == NULL || ws_input(p->ws, data, n) != WS_GO_ON)
        p->last = true;
}

static void
peer_input(struct peer *p, const uint8_t *data, size_t n)
{
    if (p->last)
        return;
    if (p->open) {
        peer_frames(p, data, n);
        return;
    }
    /* A request has at most REQUEST_MAX bytes; frames may follow it. */
    size_t take = REQUEST_MAX - p->in.len;
    if (n < take)
        take = n;
    size_t before = p->in.len;
    buf_add(&p->in, data, take);
    peer_handshake(p);
    if (!p->open)
        return;
    size_t used = p->request.consumed - before;
    buf_free(&p->in);
    if (n > used)
        peer_frames(p, data + used, n - used);
}

static bool
peer_write(struct peer *p)
{
    size_t sent = 0;

    while (sent < p->out.len) {
        ssize_t n =
            send(p->fd, p->out.p + sent, p->out.len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0)
            return false;
        sent += (size_t)n;
    }
    if (sent == p->out.len)
        buf_free(&p->out);
    else
        buf_consume(&p->out, sent);
    return true;
}

/* Called after each event of a peer. Sends what is due, frees unused memory,
 * and watches for the events that can be handled. */
static void
peer_settle(struct peer *p)
{
    if ((p->ws && !ws_output(p->ws, &p->out)) || p->out.overflow ||
        !peer_write(p) || (p->ws && !ws_output(p->ws, &p->out)) ||
        !peer_write(p)) {
        peer_free(p);
        return;
    }
    if (p->ws && (p->last || ws_clean(p->ws))) {
        ws_return(p->ws);
        p->ws = NULL;
    }
    if (p->last && !p->shut && p->out.len == 0) {
        /* The server closes first (RFC 6455, section 7.1.1), but only its
         * sending direction. Otherwise bytes that still arrive would reset the
         * connection, and the peer could not read the last frames. */
        shutdown(p->fd, SHUT_WR);
        p->shut = true;
        ev_timer_start(loop, &p->linger);
    }
    int events =
        (p->out.len < OUT_HIGH ? EV_READ : 0) | (p->out.len > 0 ? EV_WRITE : 0);
    if (events != (p->io.events & (EV_READ | EV_WRITE))) {
        ev_io_stop(loop, &p->io);
        ev_io_set(&p->io, p->fd, events);
        ev_io_start(loop, &p->io);
    }
}

static void
io_cb(struct ev_loop *l, ev_io *io, int events)
{
    struct peer *p = io->data;

    (void)l;
    if (events & EV_READ) {
        ssize_t n = recv(p->fd, scratch, sizeof scratch, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            peer_free(p);
            return;
        }
        if (n > 0)
            peer_input(p, scratch, (size_t)n);
    }
    peer_settle(p);
}

static void
linger_cb(struct ev_loop *l, ev_timer *t, int events)
{
    (void)l;
    (void)events;
    peer_free(t->data);
}

static void
accept_cb(struct ev_loop *l, ev_io *io, int events)
{
    (void)l;
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct peer *p = calloc(1, sizeof *p);
    if (p == NULL) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    p->fd = fd;
    p->in = BUF_INIT(REQUEST_MAX);
    p->out = BUF_INIT(4 * max_message + SCRATCH);
    p->next = peers.next;
    p->prev = &peers;
    p->next->prev = p->prev->next = p;
    ev_timer_init(&p->linger, linger_cb, LINGER_S, 0.);
    p->linger.data = p;
    ev_io_init(&p->io, io_cb, fd, EV_READ);
    p->io.data = p;
    ev_io_start(loop, &p->io);
}

static void
signal_cb(struct ev_loop *l, ev_signal *s, int events)
{
    (void)s;
    (void)events;
    ev_break(l, EVBREAK_ALL);
}

static int
listen_on(const char *address, const char *port)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    socklen_t len = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (inet_pton(AF_INET, address, &sin.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&sin, sizeof sin) < 0 ||
        listen(fd, 128) < 0 ||
        getsockname(fd, (struct sockaddr *)&sin, &len) < 0) {
        fprintf(stderr, "echo: cannot listen on %s %s: %s\n", address, port,
            strerror(errno));
        exit(1);
    }
    printf("listening on %s %d\n", address, ntohs(sin.sin_port));
    fflush(stdout);
    return fd;
}

int
main(int argc, char **argv)
{
    ev_io     listener;
    ev_signal term, interrupt;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: echo address port [max_message]\n");
        return 2;
    }
    if (argc == 4)
        max_message = strtoul(argv[3], NULL, 10);
    ws_pool_keep(16);
    loop = ev_default_loop(0);
    ev_io_init(&listener, accept_cb, listen_on(argv[1], argv[2]), EV_READ);
    ev_io_start(loop, &listener);
    ev_signal_init(&term, signal_cb, SIGTERM);
    ev_signal_start(loop, &term);
    ev_signal_init(&interrupt, signal_cb, SIGINT);
    ev_signal_start(loop, &interrupt);
    ev_run(loop, 0);

    close(listener.fd);
    while (peers.next != &peers)
        peer_free(peers.next);
    ws_pool_keep(0);
    ev_loop_destroy(loop);
    return 0;
}
