/*
 * transport: what carries a connection's bytes.
 *
 *     socket --> [PROXY header] --> input() --> up_bytes()
 *     conn_out() --> wrap() --> socket
 *
 * One table of operations for each kind of listener. The PROXY header of a
 * load balancer is read below them: the transport's first byte is the one
 * behind it.
 */
#ifndef WORKER_NET_TRANSPORT_H
#define WORKER_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"

struct wire {
    const char *p;
    size_t      len;
};

struct transport {
    const char *name;
    /* n bytes from the socket. Hands plain bytes to up_bytes(), any number of
     * times; p may be overwritten. */
    void (*input)(struct conn *c, uint8_t *p, size_t n);
    /* The wire bytes that stand for n plain bytes, in *w; valid until the next
     * call for any connection. False: the connection cannot carry them, and
     * must be ended. */
    bool (*wrap)(struct conn *c, const void *p, size_t n, struct wire *w);
    /* Nothing of what the last wrap() returned has left, nor will it. */
    void (*unwrap)(struct conn *c);
    /* The own direction is about to be shut down: wire bytes that must go
     * first, len 0 if there are none. */
    void (*finish)(struct conn *c, struct wire *w);
    /* The socket is about to be closed: frees what the transport keeps. */
    void (*free)(struct conn *c);
    /* Nothing is half received, and no handshake is under way. */
    bool (*quiet)(const struct conn *c);
    /* The transport's part of the connection's record (moving.h). False if it
     * cannot be moved, or if the record is not right. */
    bool (*write)(struct conn *c, struct buf *out);
    bool (*read)(struct conn *c, struct fields *f);
};

/* By enum listener_kind. */
extern const struct transport transports[LISTENER_KINDS];

static inline const struct transport *
transport_of(const struct conn *c)
{
    return &transports[c->kind];
}

/* HANDSHAKE, while the PROXY header is to come: takes its bytes out of the n
 * that came. Returns how many there were; n while the header is incomplete or
 * after the connection was refused, so that nothing is handed on. */
size_t transport_take_header(struct conn *c, const uint8_t *p, size_t n);

/* Bytes from the socket, in any state up to CLOSING. */
static inline void
transport_received(struct conn *c, uint8_t *p, size_t n)
{
    size_t header = 0;

    if (c->state == CONN_HANDSHAKE && c->busy->handshake.proxy)
        header = transport_take_header(c, p, n);
    if (header < n)
        transport_of(c)->input(c, p + header, n - header);
}

#endif
