/*
 * conn: one TCP connection, from accept to close.
 *
 * A slab of struct conn, in index order, never moved: a cref finds its
 * connection by index. A connection that is quiet (no frame half read,
 * nothing to write, no CALL pending) owns this struct, its registry entry
 * and its socket, and nothing else; `ws` and `busy` are lent to it while
 * something is going on.
 *
 *     HANDSHAKE --> OPEN --> CLOSING --> DEAD --> (free)
 *          \___________________^           ^
 *           \______________________________/
 *
 * Everything that reads or writes the socket is in conn.c, behind three
 * functions (transport_*): the place where TLS will go.
 *
 * After any callback that touched a connection, conn_settle() sends what is
 * to be sent and gives back what is not needed; a DEAD connection stays
 * addressable until the end of the loop's turn.
 */
#ifndef WORKER_NET_CONN_H
#define WORKER_NET_CONN_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "close.h"
#include "cref.h"
#include "address_count.h"
#include "net/ws.h"

enum conn_state {
    CONN_FREE,
    CONN_HANDSHAKE,
    CONN_OPEN,
    CONN_CLOSING, /* its end is decided: what is left is written, and the
                     peer's close frame or end awaited */
    CONN_DEAD     /* freed at the end of the loop's turn */
};

enum conn_flag {
    CONN_FINISHING = 1, /* CLOSING: nothing more will be said; shut down when
                           the output is gone */
    CONN_SHUT = 2,      /* our direction is shut down */
    CONN_PAUSED = 4,    /* not reading: too many answers are held, or Redis is
                           asked who it is */
    CONN_BOOTED = 8,    /* a BootNotification was answered Accepted */
    CONN_PENDING = 16,  /* ... or Pending */
    CONN_REJECTED = 32, /* ... or Rejected */
    CONN_SLOWED = 64    /* not reading: it sent too fast (guard.h) */
};

struct call;

/* What a connection has only while something is going on. */
struct busy {
    struct buf in;       /* the opening handshake, as far as it came */
    struct buf out;      /* what the socket would not take */
    uint64_t   addr[2];  /* of the peer; HANDSHAKE only */
    uint64_t   began_us; /* of the accept; HANDSHAKE only */
    uint32_t   scanned;  /* of in, by http_parse(); HANDSHAKE only */
    uint16_t   port;
    bool       proxy;   /* HANDSHAKE: a PROXY header is still to come */
    bool       proxied; /* addr is what the PROXY header said */
    uint64_t
        asked; /* auth_redis.c: the question it waits for; HANDSHAKE only */
    uint16_t     calls_n;
    uint32_t     stuck_ms; /* since when out has not moved (self.now_ms) */
    struct call *calls;    /* calls.c: in order; the first may be in flight */
};

struct conn {
    ev_io        io;
    cref         self; /* 0 until the identity is claimed */
    uint64_t     generation;
    struct ws   *ws;         /* NULL while no bytes are in flight */
    struct busy *busy;       /* NULL while quiet */
    uint32_t     entry;      /* of the registry, from OPEN on */
    uint32_t     opened_ms;  /* self.now_ms; of the state's begin */
    uint32_t     last_in_ms; /* any bytes */
    uint32_t     pinged_ms;  /* the ping under way, if pinged */
    uint32_t     messages_in;
    uint32_t     messages_out;
    uint32_t     next;       /* in the free list or the dead list */
    uint16_t     rtt_ms;     /* of the last pong; UINT16_MAX none yet */
    uint8_t      state;      /* enum conn_state */
    uint8_t      flags;      /* enum conn_flag */
    uint8_t      ws_bits;    /* ws.h's byte */
    uint8_t      reason;     /* enum close_reason, from CLOSING on */
    uint8_t      protocol;   /* enum dialect_number */
    uint8_t      held;       /* answers that wait for a commit */
    uint8_t      violations; /* events this minute */
    uint8_t      minute;     /* that minute, modulo 256 */
    uint16_t     bad;        /* unreadable messages in a row */
    uint8_t      slow_s;     /* guard.c: seconds of having been slowed */
    bool         counted;    /* guard.c: at the places `from' */
    struct address_count_place from[2];
    uint32_t                   messages_until, bytes_until; /* guard.c */
};

/* capacity: connections, CLOSING ones included. */
void conn_init(uint32_t capacity);

/* Takes over fd (closed by conn at the end, also on failure). NULL if the
 * slab is full or memory is out. */
struct conn *conn_new(int fd, const uint64_t addr[2], uint16_t port);

uint32_t     conn_index(const struct conn *c);
struct conn *conn_at(uint32_t index); /* any state, FREE too */
uint32_t     conn_high(void);         /* indexes below this were used */
struct conn *conn_find(cref name);    /* OPEN ones only; NULL */

/* Its busy part, made if need be; NULL if memory is out. */
struct busy *conn_busy(struct conn *c);

/* Where frames for the peer are appended; sent by conn_settle(). */
struct buf *conn_out(struct conn *c);
bool        conn_output_waits(const struct conn *c);

bool conn_send_text(struct conn *c, const char *text, size_t len);

/* A ping, if it can leave at once: false and nothing sent otherwise. */
bool conn_ping(struct conn *c);

/* No reading until resumed: bytes wait in the kernel. */
void conn_pause(struct conn *c, bool paused);

/* The same for one that sends too fast; it reads when neither says no. */
void conn_slow(struct conn *c, bool slowed);

/* From CLOSING on: shut down when the output is gone, die at the peer's end
 * or after websocket.close_timeout. */
void conn_finish(struct conn *c);
/* Cuts it at once. */
void conn_kill(struct conn *c);

void conn_settle(struct conn *c);

#endif
