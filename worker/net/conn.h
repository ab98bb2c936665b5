/*
 * conn: one TCP connection, from accept to close.
 *
 * A slab of struct conn, in index order, never moved: a cref finds its
 * connection by index. A connection that is quiet (conn_busy_part() in
 * session/quiet.h) owns this struct, its registry entry, its socket, and under
 * TLS its record state, and nothing else; `ws` and `busy` are lent to it while
 * something is going on.
 *
 *     HANDSHAKE --> OPEN --> CLOSING --> DEAD --> (free)
 *          \___________________^           ^
 *           \______________________________/
 *
 * The state of a connection is grouped by its owner: the members of struct conn
 * itself belong to net/, and each of the structs in it to the folder of that
 * name, the only one that writes them. Each owner reports whether its part is
 * quiet.
 *
 * Output is collected as plain bytes in conn_out(), sealed by the transport
 * (transport.h) when it is sent, and kept in `busy->out` as wire bytes if the
 * socket has no room for it.
 *
 * After any callback that touched a connection, conn_settle() sends the output
 * and releases memory that is not needed; a DEAD connection stays addressable
 * until the end of the loop's turn.
 */
#ifndef WORKER_NET_CONN_H
#define WORKER_NET_CONN_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "address_count.h"
#include "buf.h"
#include "close.h"
#include "cref.h"
#include "fields.h"
#include "listener.h"
#include "net/proxyproto.h"
#include "net/ws.h"

enum conn_state {
    CONN_FREE,
    CONN_HANDSHAKE,
    CONN_OPEN,
    CONN_CLOSING, /* it will end: remaining output is written, then the peer's
                     close frame or the end of its stream is awaited */
    CONN_DEAD     /* freed at the end of the loop's turn */
};

enum conn_flag {
    CONN_FINISHING = 1, /* CLOSING: no further frame follows; shut down when
                           the output was sent */
    CONN_SHUT = 2,      /* the outbound direction is shut down */
    CONN_PAUSED = 4,    /* not read: too many answers are deferred, or Redis
                           is asked for the credentials */
    CONN_SLOWED = 8,    /* not read: it sends too fast (guard.h) */
    CONN_REFUSED = 16   /* CLOSING: its handshake was refused */
};

/* Whether the request's headers name the client (forwarded.h). */
enum conn_forwarded {
    CONN_FORWARDED_NO,
    CONN_FORWARDED_MAY, /* a PROXY header has named a trusted proxy */
    CONN_FORWARDED_MUST /* the socket's peer is one, and sent no such header */
};

enum boot {
    BOOT_NONE,  /* no BootNotification came on this connection */
    BOOT_WAITS, /* a BootNotification came and is not answered yet */
    BOOT_ACCEPTED,
    BOOT_PENDING, /* permits.h lists the messages that are allowed meanwhile */
    BOOT_REJECTED
};

struct call;

/* What a connection has only while something is going on. */
struct busy {
    struct buf out;      /* wire bytes for which the socket had no room */
    uint32_t   stuck_ms; /* since when out has not moved (self.now_ms) */
    uint32_t   tail_ms;  /* when tail last grew (self.now_ms) */
    struct buf tail;     /* TLS: the begin of a record */

    /* HANDSHAKE only. */
    struct conn_handshake {
        struct buf      in;       /* the PROXY header, then the HTTP request */
        uint64_t        addr[2];  /* address of the peer */
        uint64_t        began_us; /* self.now_us of the accept */
        uint64_t        asked;    /* auth_redis.c: the question it waits for */
        uint32_t        scanned;  /* bytes of in that http_parse() has seen */
        uint32_t        place;    /* opening.c: its position there */
        uint16_t        port;
        bool            fenced;    /* auth_redis.c: the epoch was asked for */
        bool            proxy;     /* a PROXY header is still to come */
        bool            proxied;   /* addr is what a trusted proxy reported */
        uint8_t         forwarded; /* enum conn_forwarded */
        bool            delayed;   /* handshake.c: the registry was busy */
        bool            counted; /* handshake.c: guard_identity() let it pass */
        struct tls_job *tls;     /* tls_queue.c */
        uint8_t         profile; /* security profile reported by a proxy of
                                    tls.proxy_from: 2 or 3; else 0 */
        char cn[PROXYPROTO_CN_MAX]; /* profile 3: the CN of the client
                                       certificate */
    } handshake;

    struct busy_session {
        struct call *calls; /* calls.c: in order; the first may be in flight */
        uint16_t     calls_n;
    } session;
};

struct conn {
    ev_io        io;
    struct ws   *ws;         /* NULL while no bytes are in flight */
    struct busy *busy;       /* NULL while quiet */
    cref         self;       /* 0 until the identity is claimed */
    uint64_t     generation; /* generation of that claim */
    uint32_t     opened_ms;  /* self.now_ms when the state began */
    uint32_t     last_in_ms; /* self.now_ms when bytes last arrived */
    union {
        uint32_t pinged_ms; /* when the ping was sent that has no pong yet */
        uint32_t next;      /* FREE and DEAD: the next in the list of these */
    };
    uint32_t tls;     /* index of the record state; 0 without TLS */
    uint8_t  state;   /* enum conn_state */
    uint8_t  flags;   /* enum conn_flag */
    uint8_t  ws_bits; /* the state byte of frame.h */
    uint8_t  kind;    /* enum listener_kind: its transport */

    struct conn_session {
        uint32_t entry; /* index of the registry entry, from OPEN on */
        uint32_t messages_in;
        uint32_t messages_out;
        uint16_t rtt_ms;       /* round trip of the last ping, ms, at most
                                  65534; UINT16_MAX: none yet */
        uint16_t bad;          /* unreadable messages in a row */
        uint16_t unanswered;   /* deferred.c: CALLs taken and not answered */
        uint16_t violations;   /* events in violations_minute */
        uint8_t  protocol;     /* enum dialect_number */
        uint8_t  boot : 7;     /* enum boot */
        bool     charging : 1; /* session_note_transaction() */
        union {
            uint8_t opened_era; /* OPEN: self.now_era at opened_ms */
            uint8_t reason;     /* enum close_reason, from CLOSING on */
        };
        uint8_t violations_minute; /* modulo 256 */
    } session;

    struct conn_access {
        struct address_count_place places[2]; /* where its address and its
                                                 network are counted */
        uint32_t messages_until, bytes_until; /* units of rates.c */
        uint8_t  slow_s;      /* seconds of having been slowed, less one
                                 for each second of not being slowed */
        bool counted : 1;     /* it is counted in places */
        bool awaits_boot : 1; /* certificate.c: the BootNotification must have
                                 the certificate's serial number */
        bool expires : 1;     /* its certificate's end is remembered */
    } access;
};

/* capacity: connections, CLOSING ones included; at most CREF_INDEXES. False
 * without the address space. */
bool     conn_init(uint32_t capacity);
uint32_t conn_capacity(void);

/* Takes over fd, and closes it at the end, also on failure. proxy: a PROXY
 * header comes first. NULL if the slab is full or memory is out. */
struct conn *conn_new(int fd, enum listener_kind kind, const uint64_t addr[2],
    uint16_t port, bool proxy);

/* Indexes are below conn_capacity(). A name that is not valid any more finds
 * nothing. */
uint32_t     conn_index(const struct conn *c);
struct conn *conn_at(uint32_t index); /* any state, FREE too */
uint32_t     conn_high(void);         /* indexes below this were used */
struct conn *conn_find(cref name);    /* OPEN ones only; NULL */

/* --- the move to another worker process (moving.h) ---------------------- */

/* Appends the part of net/ to the connection's record. False if the state
 * cannot be moved: a TLS handshake is in progress. */
bool conn_write(struct conn *c, struct buf *out);
/* Makes a connection from a record. Its index is the recorded one if that is
 * free here. Takes over fd, also on failure, which returns NULL. Reading begins
 * with conn_settle(). */
struct conn *conn_read(struct fields *f, int fd);
/* Only for conn_read(): makes a connection at this index, or at another one if
   it is taken. */
struct conn *conn_adopt(int fd, uint32_t index);
/* Called before the first connection if this worker inherits a slot: the
 * indexes of the inherited connections are kept free until conn_inherited(). */
void conn_inherit(void);
void conn_inherited(void);

/* The socket was passed to another process: forgets the connection without
 * sending anything and without an up-call. */
void conn_forget(struct conn *c);

/* The busy part, which is made if it does not exist; NULL if memory is out. */
struct busy *conn_busy(struct conn *c);

/* The buffer for frames to the peer, as plain bytes; conn_settle() sends them.
 * All connections share one buffer: it is valid until conn_out() is called for
 * another connection, which settles this one first. conn_output_waits(): true
 * if earlier output waits for room in the socket. */
struct buf *conn_out(struct conn *c);
bool        conn_output_waits(const struct conn *c);

/* Appends a text frame, compressed if that was negotiated and saves bytes.
 * False, with nothing appended, if websocket.max_output_size is reached or a
 * close frame was sent. */
bool conn_send_text(struct conn *c, const char *text, size_t len);

/* Sends a ping, whose payload is self.now_ms. True if all of it was sent at
 * once. False if nothing was sent, or if a part was and the rest waits for room
 * in the socket; pinged_ms is unchanged then. */
bool conn_ping(struct conn *c);

/* For the transport: sends wire bytes, or keeps them after the output that
 * waits. False if the connection died. */
bool conn_send_wire(struct conn *c, const void *p, size_t n);
/* Ends a connection that cannot continue: reports it by an up-call and closes
   the socket at once. */
void conn_broken(struct conn *c, enum close_reason reason);

/* Stops or resumes reading; while it is stopped, bytes wait in the kernel. */
void conn_pause(struct conn *c, bool paused);

/* As conn_pause(), for a connection that sends too fast. A connection is read
 * while it is neither paused nor slowed. */
void conn_slow(struct conn *c, bool slowed);

/* CLOSING: shuts the socket down when all output is sent. The connection dies
 * when the peer closes, or after websocket.close_timeout. */
void conn_finish(struct conn *c);
/* Closes the connection without a close frame. Its descriptor is closed at the
 * end of the loop turn. */
void conn_kill(struct conn *c);
/* As conn_kill(), but the descriptor is closed at once. For a connection other
 * than the one that is being served. */
void conn_cut(struct conn *c);

/* Sends the output and returns what is not needed (see above). c may be DEAD
 * afterwards. */
void conn_settle(struct conn *c);

/* True if the part of net/ is quiet: OPEN, at a frame boundary, reading, and
 * nothing waits to be sent. */
bool conn_net_quiet(const struct conn *c);

#endif
