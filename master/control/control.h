/*
 * control: the unix socket that ocppctl talks to.
 *
 *   client:  one line of words (control_line.h), at most LINE_MAX_BYTES, "\n";
 *            a first word -j or -p asks for JSON or Prometheus text; -k TOKEN
 *            in front gives a client of the HTTP API its rights
 *   daemon:  "<code> <length>\n" and length bytes of body; codes below. After
 *            1xx more follows; the connection ends after all others.
 *
 * The socket's mode (0660) and group limit the clients that may connect; only
 * the uids root and the daemon's own, as the kernel reports them, may change
 * something. A slow or silent client costs one of CONTROL_CLIENTS places
 * until its deadline and nothing else; when all are taken, the one that has
 * been sending its line for longest gives its place to the next. A line that
 * ends without its newline is not executed.
 */
#ifndef MASTER_CONTROL_CONTROL_H
#define MASTER_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "control_line.h"
#include "fields.h"
#include "identity.h"
#include "registry.h"

#define CONTROL_CLIENTS 256
#define CONTROL_RESERVED 16    /* of them for root and the daemon's user */
#define CONTROL_WAITING 192    /* of them for commands that wait or stream */
#define CONTROL_LINE_MS 10000  /* ms until the command line is complete */
#define CONTROL_WRITE_MS 20000 /* ms in which the client reads nothing */
/* Bytes of a stream that wait for their reader. */
#define CONTROL_STREAM_MAX (1u << 20)

struct client {
    uint64_t id; /* never used again; a pointer to a client may be invalid */
    uid_t    uid;
    bool     admin;  /* root, or the user the daemon runs as */
    char     format; /* 0 text, 'j', 'p' */

    const char *waits; /* for what, if an upgrade may move it with its client;
                          NULL otherwise */
    /* For a command that waits: called every CONTROL_POLL_MS until it
     * replied; see control_wait(). */
    void (*poll)(struct client *c);
    uint64_t wait_until_ms; /* monotonic; 0: no limit */
    /* For a command that has asked a worker: its answer, a JSON object, empty
     * if the worker does not know the connection (any more). */
    void (*described)(struct client *c, const char *json, size_t len);
    /* Called when the client is dropped; NULL: nothing to do. */
    void (*gone)(struct client *c);
    uint64_t asked; /* id of the datagram whose answer is awaited */
    uint32_t entry; /* registry entry it is about */
    uint64_t conn;  /* connection it is about */
    char     name[IDENTITY_MAX + 1]; /* identity it is about */
};

#define CONTROL_POLL_MS 50

/* Once: what executes the words of a line, and what reports whether a command
 * is executed at once while an upgrade is in progress. */
void control_serve(void (*run)(struct client *c, int argc, char **argv),
    bool (*is_served)(const char *word));

/* Drops all clients. */
void control_close(void);

/* A client of the socket (control_socket.h), with its uid. fd becomes the
 * callee's. */
void control_accepted(int fd, uid_t uid);

/* --- for an upgrade (upgrade/) --- */

/* While it holds, only what reports on the daemon is executed; the lines of
 * other commands wait. */
void control_hold(bool hold);
/* The client as a record, to which *fd belongs, which stays the client's.
 * False if it cannot move: it has its reply, or gets one here. */
bool control_write(uint64_t id, struct buf *out, int *fd);
/* It is the new program's now. */
void control_moved(uint64_t id);
/* The clients in the order of their ids: the first one above; 0 at the end. */
uint64_t control_next(uint64_t after, bool *waits);
/* Back; fd is the callee's. *waits is "" unless it waits; its line, if it has
 * one, is executed when control_hold(false) is called. NULL: no room. */
struct client *control_read(struct fields *f, int fd, const char **waits);
/* The client that had this id in the old program; NULL if there is none. */
struct client *control_former(uint64_t id);

/* A client that came through the admin process: it may read, and has the
 * rights of the token that it shows with -k. fd becomes the callee's. */
void control_adopt(int fd);

/* NULL if it has disconnected. */
struct client *control_client(uint64_t id);

/* A worker has answered the datagram `asked`. */
void control_described(uint64_t asked, const char *json, size_t len);

/* Every command ends in exactly one of these. The body is copied. The text of
 * control_replyf() is one sentence for people; a client that asked for JSON
 * gets it as a member. */
void control_reply(struct client *c, int code, const void *body, size_t n);
void control_replyf(struct client *c, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void control_reply_buf(struct client *c, int code, struct buf *body);

/* To be asked before a command that will wait or stream has any effect: false
 * if too many do already; it has replied then. */
bool control_may_wait(struct client *c);

/* Instead of a reply, for now. poll may be NULL: an answer comes from
 * elsewhere. After ms milliseconds (0: never) the reply is the static text
 * `late`, with CONTROL_TIMEOUT. A client that closes its
 * connection meanwhile gives up its place; what it asked for continues. */
void control_wait(struct client *c, void (*poll)(struct client *c), uint64_t ms,
    const char *late);
/* The command becomes a stream: it ends when the client closes. */
void control_stream_begin(struct client *c);
/* False if the client has too much waiting; nothing was sent then. */
bool control_stream(struct client *c, const void *p, size_t n);

#endif
