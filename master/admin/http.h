/*
 * http: the requests of the admin port: /health and its kind, the API of
 * http.def (http_api.h), and the status page. In the admin process only.
 *
 * Each connection has a thread, which may wait: for the master's answer, for
 * an event, for a slow client. http_places.h bounds their number and their
 * time.
 */
#ifndef MASTER_ADMIN_HTTP_H
#define MASTER_ADMIN_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "listener.h"
#include "shm.h"

enum http_needs { HTTP_READ, HTTP_ADMIN };

struct http_route {
    const char     *method;
    const char     *path;
    enum http_needs needs;
    const char     *command;
    const char     *query;
    const char     *sentence;
};

extern const struct http_route http_routes[];
extern const size_t            http_routes_n;

/* Before the others. channel: to the master. */
void http_begin(const struct shm *s, int channel);
/* Serves a listening socket in threads of libmicrohttpd, until the process
 * ends. False if it cannot be started. */
bool http_serve(int fd, enum listener_kind kind);

/* The table as OpenAPI 3.0, and as mdoc(7) for ocppd-http(7). */
void http_openapi(struct buf *out);
void http_put_manual(struct buf *out);

/* ms between the signs of life of a stream without events: well below the time
 * without a byte after which a connection is closed (http.c). */
#define HTTP_HEARTBEAT_MS 5000
#define HTTP_BODY_MAX (16u << 20) /* bytes of an answer that is made here */

/* --- ask.c: requests to the master ----------------------------------------- */

/* Sends words, with the client's token (NULL without), and waits. Returns a
 * code of control_line.h with the body in *reply, 503 if the master does not
 * answer. */
int ask_master(int channel, const char *token, const char *const *words,
    size_t n, struct buf *reply);

/* The same for a command that streams: the socket from which its replies come,
 * to be closed; -1 if the master cannot be reached. */
int ask_open(
    int channel, const char *token, const char *const *words, size_t n);

/* --- http_tap.c: frames of one charge point -------------------------------------- */

struct http_tap;

/* NULL if the master cannot be reached. */
struct http_tap *http_tap_open(
    int channel, const char *token, const char *identity);
/* JSON lines: up to max bytes into p, waiting for some; -1 at the end. */
long http_tap_read(struct http_tap *t, char *p, size_t max);
void http_tap_close(struct http_tap *t);

/* --- series.c: the last hour -------------------------------------------------- */

#define SERIES_EVERY_S 5
/* Starts the thread that takes a sample every SERIES_EVERY_S seconds; appends
 * the samples of the last hour as JSON. */
void series_begin(const struct shm *s);
void series_json(struct buf *out);

/* --- feed.c: events --------------------------------------------------------- */

struct feed;

/* after: cursor or NULL; since (since.h), type, cp: filters or NULL. NULL with
 * a sentence. */
struct feed *feed_open(const struct shm *s, const char *after,
    const char *since, const char *type, const char *cp, bool sse, bool follow,
    struct buf *why);
/* Up to max bytes into p, waiting for some; -1 at the end. */
long feed_read(struct feed *f, char *p, size_t max);
void feed_close(struct feed *f);

#endif
