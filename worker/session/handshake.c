/* handshake: from TCP connection to charge point, or to a refusal. See
 * handshake.h. */
#include "session/handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/auth.h"
#include "access/certificate.h"
#include "access/deny_list.h"
#include "access/guard.h"
#include "array.h"
#include "base/self.h"
#include "clock.h"
#include "ensure.h"
#include "net/deflate.h"
#include "net/forwarded.h"
#include "net/http.h"
#include "net/record.h"
#include "net/tls_queue.h"
#include "session/answers.h"
#include "session/opening.h"
#include "session/refusals.h"
#include "session/session.h"
#include "session/version.h"

#define RETRY_AFTER_S 30
#define TLS_HANDSHAKE 0x16 /* first byte of a ClientHello */

/* --- refusals ------------------------------------------------------------ */

/*
 * Refused connections are kept open until the peer has read the answer and
 * closes. Closing at once, with unread bytes in the socket, would reset the
 * connection, and the answer could be lost. At most this many are kept, each
 * for at most HANDSHAKE_LINGER_MS, so that clients cannot use up the
 * descriptors. One more closes the oldest and its descriptor at once, because
 * one turn of the loop may refuse several hundred.
 */
#define LINGERING 64

static struct {
    uint32_t conn; /* index of the connection */
    uint32_t opened_ms;
} lingering[LINGERING];
static unsigned lingering_next;

static void
linger(struct conn *c)
{
    struct conn *old;

    if (lingering[lingering_next].opened_ms != 0) {
        old = conn_at(lingering[lingering_next].conn);
        if (old != c && old->state == CONN_CLOSING &&
            (old->flags & CONN_REFUSED) &&
            old->opened_ms == lingering[lingering_next].opened_ms)
            conn_cut(old);
    }
    c->flags |= CONN_REFUSED;
    lingering[lingering_next].conn = conn_index(c);
    lingering[lingering_next].opened_ms = c->opened_ms;
    lingering_next = (lingering_next + 1) % LINGERING;
}

/* Sends the refusal. status 0 means the status of the reason. */
static void
refuse(struct conn *c, struct refusal r, int status)
{
    enum refuse_reason counted = guard_refuses(c, r.reason, r.name, r.len);

    if (counted != r.reason) {
        r.detail = refuse_info[r.reason].sentence;
        r.reason = counted;
        status = 0;
    }
    if (status == 0)
        status = refuse_info[r.reason].status;
    refusals_add(&c->busy->handshake, &r, status);
    bool before_tls = c->kind == LISTENER_TLS && c->tls == 0;
    if (status != 0 && !before_tls)
        http_put_refusal(conn_out(c), status,
            status == 503       ? RETRY_AFTER_S
                : status == 429 ? guard_retry_s()
                                : 0,
            r.detail ? r.detail : refuse_info[r.reason].sentence);
    guard_leave(c);
    session_leave_handshake(c);
    conn_pause(c, false); /* reading may have been paused */
    conn_finish(c);
    linger(c);
    if (status != 0 && before_tls)
        tls_queue_alert(
            c, status == 503 ? ALERT_INTERNAL_ERROR : ALERT_ACCESS_DENIED);
}

void
handshake_refuse(
    struct conn *c, enum refuse_reason reason, int status, const char *detail)
{
    /* The deadline passed while the handshake waited for the registry. */
    if (reason == REFUSE_timed_out && c->busy->handshake.delayed)
        reason = REFUSE_registry_busy;
    refuse(c, (struct refusal){reason, "", 0, detail, NULL}, status);
}

/* --- the peer's address -------------------------------------------------- */

/* The connections that may be displaced for a new one. More than one if the
 * limit has been passed, by workers that accepted at the same time. */
#define DISPLACED_MAX 2

static enum refuse_reason
enter(struct conn *c, const char **detail)
{
    enum refuse_reason r = guard_enter(c, detail);

    for (int i = 0; i < DISPLACED_MAX && opening_displace(c, r); i++)
        r = guard_enter(c, detail);
    return r;
}

bool
handshake_enter(struct conn *c)
{
    struct conn_handshake *h = &c->busy->handshake;
    const char            *detail = NULL;

    /* A trusted proxy that sends no PROXY header is an HTTP proxy, so the
     * request's headers must name the client. After a PROXY header the headers
     * may name it.
     */
    if (h->forwarded == CONN_FORWARDED_NO && h->proxied &&
        guard_from_proxy(h->addr))
        h->forwarded = CONN_FORWARDED_MAY;
    if (h->forwarded == CONN_FORWARDED_MUST)
        return true;
    enum refuse_reason r = enter(c, &detail);
    if (r != REFUSE_REASONS)
        handshake_refuse(c, r, 0, detail);
    return r == REFUSE_REASONS;
}

/* Reads the client's address from the request's headers; false if the
 * connection was refused. broken: the request is malformed and is refused in
 * any case. */
static bool
take_forwarded(struct conn *c, const struct http_request *r, bool broken)
{
    struct conn_handshake *h = &c->busy->handshake;
    struct forwarded       f;
    const char            *why = NULL;

    if (h->forwarded == CONN_FORWARDED_NO)
        return true;
    switch (forwarded_client(r, guard_from_proxy, &f)) {
    case FORWARDED_CLIENT:
        memcpy(h->addr, f.addr, sizeof f.addr);
        h->port = f.port;
        h->proxied = true;
        STAT_INC(self.st, forwarded);
        break;
    case FORWARDED_ERROR:
        why = f.why;
        break;
    case FORWARDED_NONE:
        if (h->forwarded == CONN_FORWARDED_MUST)
            why = "there is neither a PROXY header nor X-Forwarded-For nor "
                  "Forwarded, and server.proxy_from lists this address";
        break;
    }
    bool enters = h->forwarded == CONN_FORWARDED_MUST || h->proxied;
    h->forwarded = CONN_FORWARDED_NO;
    if (broken)
        return true;
    if (why != NULL) {
        refuse(c, (struct refusal){REFUSE_no_proxy_header, "", 0, why, r}, 0);
        return false;
    }
    if (!enters)
        return true;
    const char        *detail = NULL;
    enum refuse_reason reason = enter(c, &detail);
    if (reason != REFUSE_REASONS)
        refuse(c, (struct refusal){reason, "", 0, detail, r}, 0);
    return reason == REFUSE_REASONS;
}

void
handshake_begin(
    int fd, enum listener_kind kind, const uint64_t addr[2], uint16_t port)
{
    struct conn *c = conn_new(fd, kind, addr, port, guard_from_proxy(addr));
    if (c == NULL) {
        struct conn_handshake h = {.addr = {addr[0], addr[1]}, .port = port};
        refusals_add(&h,
            &(struct refusal){REFUSE_full, "", 0,
                "the worker has no memory for another connection", NULL},
            0);
        return;
    }
    opening_begin(c);
    if (self.shm->draining) {
        handshake_refuse(c, REFUSE_draining, 0, NULL);
        conn_settle(c);
    } else if (!c->busy->handshake.proxy && !handshake_enter(c)) {
        conn_settle(c);
    }
}

/* --- a busy registry ----------------------------------------------------- */

/* Indexes of connections whose handshake found the registry busy, to be tried
 * again in the next tick. An entry is valid while its connection is marked as
 * delayed. */
static uint32_t *delayed;
static size_t    delayed_n, delayed_cap;

static bool
delay(struct conn *c)
{
    if (delayed_n == delayed_cap) {
        uint32_t *p = array_grow(delayed, &delayed_cap, sizeof *p);
        if (p == NULL)
            return false;
        delayed = p;
    }
    delayed[delayed_n++] = conn_index(c);
    c->busy->handshake.delayed = true;
    STAT_INC(self.st, handshakes_delayed);
    return true;
}

/* --- the request --------------------------------------------------------- */

/* True if the connection replaces one of the same identity, so that it does not
 * count against max_connections: when many charge points reconnect, the
 * connections that they have lost are still open. */
static bool
room_for(const struct registry_entry *former)
{
    return shm_sessions(self.shm) < self.conf.server_max_connections ||
        (former != NULL && former->owner != 0);
}

/* Checks that the identity may connect from this address with this key. */
static enum refuse_reason
judge(struct conn *c, const struct http_request *r, const char *name,
    size_t len, const struct registry_entry *former,
    struct auth_redis_answer *answer, const char **detail)
{
    enum refuse_reason reason = auth_check(r, name, len, answer, detail);

    /* A certificate that names the identity replaces the key. */
    if (reason == REFUSE_wrong_key && certificate_proves(c))
        reason = REFUSE_REASONS;
    if (reason == REFUSE_REASONS)
        reason = certificate_check(c, name, len, detail);
    /* The connection is counted once, even if the registry is busy several
     * times. */
    if (reason == REFUSE_REASONS && !c->busy->handshake.counted) {
        reason = guard_identity(c, name, len, former, detail);
        for (int i = 0; i < DISPLACED_MAX && opening_displace(c, reason); i++) {
            *detail = NULL;
            reason = guard_identity(c, name, len, former, detail);
        }
    }
    if (reason == REFUSE_REASONS && !room_for(former))
        reason = REFUSE_full;
    if (reason == REFUSE_REASONS)
        c->busy->handshake.counted = true;
    return reason;
}

enum progress {
    DECIDED, /* accepted or refused */
    ASKED,   /* Redis is being asked; the decision is repeated with its
                answer */
    DELAYED  /* the registry is busy or a file is being read; the decision is
                repeated */
};

/* Makes the answer to the client's offer of compression; 0 if there is no offer
   or none is accepted. */
static unsigned
compression(const struct http_request *r, char answer[DEFLATE_ANSWER_LEN])
{
    unsigned window = 0;

    if (self.conf.websocket_compression)
        for (unsigned i = 0; i < r->extensions.n && window == 0; i++)
            window = deflate_negotiate(
                r->extensions.line[i].p, r->extensions.line[i].n, answer);
    return window;
}

/* Completes the handshake of an identity that was accepted. */
static enum progress
let_in(struct conn *c, const struct http_request *r, const char *name,
    size_t len, const struct auth_redis_answer *answer)
{
    enum dialect_number protocol = DIALECT_UNNAMED;
    bool     named, common = version_choose(r, name, len, &protocol, &named);
    uint64_t began_us = c->busy->handshake.began_us;
    char     accept[HTTP_ACCEPT_LEN + 1];

    http_accept_key(r->key, accept);
    if (!common) {
        /* OCPP-J 1.6 section 3.2: complete the handshake, then close. */
        refusals_add(&c->busy->handshake,
            &(struct refusal){REFUSE_no_subprotocol, name, len, NULL, r}, 0);
        http_put_switching(conn_out(c), accept, NULL, NULL);
        session_reject_version(c);
        return DECIDED;
    }
    switch (session_open(c, name, len, protocol)) {
    case REGISTRY_OK:
        break;
    case REGISTRY_BUSY:
        return DELAYED;
    default:
        refuse(
            c, (struct refusal){REFUSE_identities_full, name, len, NULL, r}, 0);
        return DECIDED;
    }
    guard_opened(c);
    auth_welcomed(c->session.entry, answer);
    if (!named)
        STAT_INC(self.st, missing_subprotocol);
    char     extensions[DEFLATE_ANSWER_LEN];
    unsigned window = compression(r, extensions);
    http_put_switching(conn_out(c), accept,
        named ? dialects[protocol].name : NULL, window ? extensions : NULL);
    c->ws_bits |= (uint8_t)(window << FRAME_WINDOW_SHIFT);
    STAT_INC(self.st, handshakes);
    histogram_add(&self.st->handshake_time, clock_mono_ns() / 1000u - began_us);
    return DECIDED;
}

/* The functions in Redis read "{ocppd:events:0}CP1" as the charge point CP1. A
 * charge point with such an identity could receive the commands of another one,
 * and set its key, if a platform passes the identity to a function. */
static bool
is_key_of_redis(const char *name)
{
    char   stream[CONF_TEXT_MAX + sizeof "{:events:"];
    size_t n;

    if (!config_has_redis(&self.conf))
        return false;
    n = (size_t)snprintf(
        stream, sizeof stream, "{%s:events:", self.conf.redis_prefix);
    return strncmp(name, stream, n) == 0;
}

/* answer: the answer of Redis; NULL if Redis was not asked yet. */
static enum progress
complete(struct conn *c, const struct http_request *r,
    struct auth_redis_answer *answer)
{
    char     name[IDENTITY_MAX + 1];
    size_t   len = 0;
    size_t   max = self.conf.ocpp_max_identity_length;
    uint32_t entry;

    if (!take_forwarded(c, r, false))
        return DECIDED;
    enum http_identity e =
        http_identity(r->path, self.conf.server_path, max, name, &len);
    if (e != HTTP_ID_OK) {
        refuse(c,
            (struct refusal){e == HTTP_ID_PATH ? REFUSE_wrong_path
                    : e == HTTP_ID_LONG        ? REFUSE_long_identity
                                               : REFUSE_bad_identity,
                "", 0, http_identity_sentence(e), r},
            http_identity_status(e));
        return DECIDED;
    }
    if (is_key_of_redis(name)) {
        refuse(c,
            (struct refusal){REFUSE_bad_identity, name, len,
                "an identity must not begin like a key in Redis", r},
            0);
        return DECIDED;
    }
    if (self.held || auth_waits() || deny_list_waits() ||
        registry_look_up(self.registry, name, len, false, &entry) ==
            REGISTRY_BUSY)
        return DELAYED;
    const char        *detail = NULL;
    enum refuse_reason reason = guard_before_key(c, name, len);
    if (reason == REFUSE_REASONS && answers_stalled())
        reason = REFUSE_journal_stalled;
    if (reason == REFUSE_REASONS) {
        struct auth_redis_answer silent = {.word = KEYS_SILENT};
        if (answer == NULL && auth_asks()) {
            /* Ask for the epoch first: its answer arrives before that of
               auth_redis_ask() on the same connection to Redis. */
            auth_redis_fence(c, name, len);
            if (auth_redis_ask(c, name, len))
                return ASKED;
        }
        if (answer == NULL)
            answer = &silent;
        if (auth_asks() && answer->word == KEYS_SILENT)
            auth_redis_recall(entry, answer);
        const struct registry_entry *former =
            entry == REGISTRY_NONE ? NULL : registry_at(self.registry, entry);
        reason = judge(c, r, name, len, former, answer, &detail);
        if (reason == REFUSE_REASONS && auth_redis_fence(c, name, len))
            return ASKED;
        if (reason == REFUSE_REASONS)
            return let_in(c, r, name, len, answer);
    }
    refuse(c, (struct refusal){reason, name, len, detail, r}, 0);
    return DECIDED;
}

/* Decides about a complete request; false if it has to wait. */
static bool
take_request(struct conn *c, const struct http_request *r,
    struct auth_redis_answer *answer)
{
    /* The first WebSocket bytes may have arrived with the request. */
    struct buf    request = c->busy->handshake.in;
    enum progress outcome;

    c->busy->handshake.in = BUF_INIT(request.max);
    outcome = complete(c, r, answer);
    if (outcome == DELAYED && !delay(c)) {
        refuse(c, (struct refusal){REFUSE_registry_busy, "", 0, NULL, r}, 0);
        outcome = DECIDED;
    }
    if (outcome != DECIDED) {
        c->busy->handshake.in = request;
        return false;
    }
    if (c->state == CONN_OPEN && request.len > r->consumed)
        session_bytes(c, (const uint8_t *)request.p + r->consumed,
            request.len - r->consumed);
    buf_free(&request);
    return true;
}

/* Repeats the decision about a complete request. */
static void
resume(struct conn *c, struct auth_redis_answer *answer)
{
    struct buf         *in = &c->busy->handshake.in;
    struct http_request r = {0};

    ensure(http_parse(in->p, in->len, &r) == HTTP_COMPLETE);
    conn_pause(c, false);
    if (!take_request(c, &r, answer))
        conn_pause(c, true);
}

void
handshake_answered(struct conn *c, struct auth_redis_answer *answer)
{
    resume(c, answer);
}

void
handshake_inherited(struct conn *c)
{
    if (!c->busy->handshake.delayed)
        return;
    conn_pause(c, true);
    if (!delay(c))
        handshake_refuse(c, REFUSE_registry_busy, 0, NULL);
}

void
handshake_tick(void)
{
    size_t n = delayed_n, i = 0;

    delayed_n = 0;
    /* Indexes that are delayed again are written to the front of the list,
     * which has been read. After the first handshake that finds the registry
     * busy, the others are not tried. */
    while (i < n && delayed_n == 0) {
        struct conn *c = conn_at(delayed[i++]);
        if (c->state != CONN_HANDSHAKE || !c->busy->handshake.delayed)
            continue;
        c->busy->handshake.delayed = false;
        resume(c, NULL);
        conn_settle(c);
    }
    while (i < n) {
        uint32_t     index = delayed[i++];
        struct conn *c = conn_at(index);
        if (c->state == CONN_HANDSHAKE && c->busy->handshake.delayed)
            delayed[delayed_n++] = index;
    }
}

void
handshake_input(struct conn *c, const uint8_t *p, size_t n)
{
    struct http_request r;
    char                name[IDENTITY_MAX + 1];
    size_t              len = 0;
    struct buf         *in = &c->busy->handshake.in;
    size_t              room = in->max - in->len;
    size_t              take = n < room ? n : room;

    if (!buf_add(in, p, take)) {
        handshake_refuse(c, REFUSE_too_large, 503, "out of memory");
        return;
    }
    memset(&r, 0, sizeof r);
    r.scanned = c->busy->handshake.scanned;
    switch (http_parse(in->p, in->len, &r)) {
    case HTTP_INCOMPLETE:
        c->busy->handshake.scanned = (uint32_t)r.scanned;
        if (take < n || in->len == in->max)
            handshake_refuse(c, REFUSE_too_large, 0, NULL);
        return;
    case HTTP_ERROR:
        take_forwarded(c, &r, true);
        if (r.path.n == 0 ||
            http_identity(r.path, self.conf.server_path,
                self.conf.ocpp_max_identity_length, name, &len) != HTTP_ID_OK)
            len = 0;
        refuse(c,
            (struct refusal){in->p[0] == TLS_HANDSHAKE ? REFUSE_tls_on_plain
                    : r.status == 426                  ? REFUSE_not_websocket
                                                       : REFUSE_bad_request,
                len > 0 ? name : "", len,
                in->p[0] == TLS_HANDSHAKE ? NULL : r.sentence, &r},
            r.status);
        return;
    case HTTP_COMPLETE:
        break;
    }
    if (!take_request(c, &r, NULL)) {
        /* A client that sends more bytes than fit, before its request was
         * answered, is refused. */
        if (take < n)
            handshake_refuse(c, REFUSE_too_large, 0, NULL);
        else
            conn_pause(c, true);
    } else if (c->state == CONN_OPEN && take < n) {
        session_bytes(c, p + take, n - take);
    }
}
