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
    /* Takes n bytes from the socket, and passes plain bytes to up_bytes(), in
     * any number of calls. p may be overwritten. */
    void (*input)(struct conn *c, uint8_t *p, size_t n);
    /* Makes the wire bytes for n plain bytes, in *w, valid until the next call
     * for any connection. False if the connection cannot carry them and must
     * end. */
    bool (*wrap)(struct conn *c, const void *p, size_t n, struct wire *w);
    /* Takes back the last wrap(): none of its bytes was sent or will be. */
    void (*unwrap)(struct conn *c);
    /* Called before the outbound direction is shut down: makes the wire bytes
     * that must be sent first; len 0 if there are none. */
    void (*finish)(struct conn *c, struct wire *w);
    /* Called before the socket is closed: frees the transport's memory for the
       connection. */
    void (*free)(struct conn *c);
    /* True if no record is half received and no handshake is in progress. */
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

/* HANDSHAKE, while the PROXY header is expected: consumes its bytes at p.
 * Returns their number; n while the header is incomplete or after the
 * connection was refused, so that no byte is passed on. */
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
