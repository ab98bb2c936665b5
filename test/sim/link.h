/*
 * link: one client's WebSocket connection.
 *
 * Owns the socket, the handshake and the close. A quiet link is a watcher and
 * two NULL pointers: a wslay context is borrowed for the time of one read or
 * one send, and bytes are stored only while a frame is incomplete in either
 * direction. A readable socket is read once, and all frames that result are
 * written at once.
 *
 * The program has one set of link_ops; the link calls them and is independent
 * of charge points. All is on one libev loop.
 *
 *     DOWN --link_connect--> CONNECTING --> HANDSHAKE --> OPEN --> DOWN
 *                                  \-SECURING-^            \-> CLOSING -/
 */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "lease.h"
#include "secure.h"
#include "upgrade.h"

#define LINK_MESSAGE_MAX LEASE_MESSAGE_MAX

enum link_state {
    LINK_DOWN,
    LINK_CONNECTING,
    LINK_SECURING, /* in the TLS handshake */
    LINK_HANDSHAKE,
    LINK_OPEN,
    LINK_CLOSING /* the close frame was sent, and is not answered yet */
};

enum link_end {
    LINK_END_CONNECT,   /* code: errno of connect or socket */
    LINK_END_REFUSED,   /* code: HTTP status; reason: its phrase */
    LINK_END_HANDSHAKE, /* the server's handshake breaks the protocol; reason */
    LINK_END_CLOSED,    /* code, reason: of the server's close frame */
    LINK_END_LOST,      /* code: 0 for FIN without close, or errno */
    LINK_END_PROTOCOL,  /* the server's frames break the protocol; reason */
    LINK_END_BYE /* closed by this end, and the server has answered; code: its
                    code */
};

struct link_partial;

struct link {
    ev_io                io;      /* io.fd is the socket; -1 when down */
    struct link_partial *partial; /* an incomplete frame, or an open message */
    struct buf          *unsent;  /* bytes that the socket did not accept */
    struct secure        secure;
    uint8_t              state;   /* enum link_state */
    bool                 slow;    /* the owner reads by link_read() */
    bool                 mute;    /* pings get no pong */
    bool                 deflate; /* compression was negotiated */
};

struct link_ops {
    /* Appends the handshake request. */
    void (*request)(struct link *l, struct buf *out);
    void (*open)(struct link *l, const struct upgrade_answer *answer);
    /* Called for a whole message; opcode 1 text, 2 binary, 9 ping, 10 pong. */
    void (*message)(struct link *l, int opcode, const char *p, size_t n);
    /* Called when the link is LINK_DOWN; it may be connected again. */
    void (*down)(
        struct link *l, enum link_end end, int code, const char *reason);
    /* Called after a read that has called message(), when everything is sent;
     * may be NULL. It may use other links; message() may use only its own. */
    void (*done)(struct link *l);
};

/* deflate: the requests offer permessage-deflate. */
void link_setup(struct ev_loop *loop, const struct link_ops *ops, bool deflate);
void link_init(struct link *l);

/* from: source address, may be NULL. Failure is reported through down(), but
 * not from within this call: it returns false with errno, and down() is not
 * called. */
bool link_connect(struct link *l, const struct sockaddr *to, socklen_t to_len,
    const struct sockaddr *from, socklen_t from_len);

void link_send(struct link *l, int opcode, const void *p, size_t n);
/* Sends bytes as they are, without a frame. */
void link_send_raw(struct link *l, const void *p, size_t n);
void link_close(struct link *l, int code, const char *reason);
/* Ends the connection without a close frame, and without calling down(): by a
 * RST, or by a FIN. */
void link_drop(struct link *l, bool reset);
/* Leaves the socket open and unread; returns it, and the caller owns it. */
int link_abandon(struct link *l);
/* For slow links: reads at most this many bytes. */
void link_read(struct link *l, size_t most);

/* Totals of all links: bytes and control frames. */
struct link_totals {
    uint64_t bytes_in, bytes_out, pings_in, pongs_in;
};
extern struct link_totals link_totals;

#endif
