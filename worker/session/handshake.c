/* handshake: from TCP connection to charge point, or to a refusal. See
 * handshake.h. */
#include "session/handshake.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "access/auth.h"
#include "clock.h"
#include "ensure.h"
#include "access/guard.h"
#include "net/http.h"
#include "log.h"
#include "base/self.h"
#include "session/session.h"

#define RETRY_AFTER_S 30

/* Remembers a refusal: in this worker's ring, and in the registry if the
 * identity is known there (a stranger's name makes no entry). */
static void
remember(struct conn *c, enum refuse_reason reason, const char *name,
    size_t len, const char *detail)
{
    uint32_t            n = self.mem->refusals;
    struct shm_refusal *r = &self.mem->refusal[n % SHM_REFUSALS];
    char                from[SHM_ADDR_LEN];

    atomic_fetch_add_explicit(&r->seq, 1, memory_order_acq_rel);
    r->wall_ms = self.wall_ms;
    r->addr[0] = c->busy->handshake.addr[0];
    r->addr[1] = c->busy->handshake.addr[1];
    r->port = c->busy->handshake.port;
    r->reason = (uint8_t)reason;
    r->name_len = (uint8_t)len;
    memcpy(r->name, name, len);
    snprintf(r->detail, sizeof r->detail, "%s", detail ? detail : "");
    atomic_fetch_add_explicit(&r->seq, 1, memory_order_release);
    atomic_store_explicit(&self.mem->refusals, n + 1, memory_order_release);

    uint32_t entry = registry_find(self.registry, name, len, false);
    if (entry != REGISTRY_NONE) {
        struct registry_entry *e = registry_at(self.registry, entry);
        e->refused_at = (uint32_t)(self.wall_ms / 1000);
        e->refuse_reason = (uint8_t)reason;
    }
    shm_addr_text(from, c->busy->handshake.addr, c->busy->handshake.port);
    log_debug("refused %s%s%.*s: %s%s%s", from, len ? " as " : "", (int)len,
        name, refuse_info[reason].sentence, detail ? ": " : "",
        detail ? detail : "");
}

static void
refuse_as(struct conn *c, enum refuse_reason reason, int status,
    const char *name, size_t len, const char *detail)
{
    if (status == 0)
        status = refuse_info[reason].status;
    STAT_INC(self.st, refused[reason]);
    remember(c, reason, name, len, detail);
    guard_refused(c, reason);
    if (status != 0)
        http_put_refusal(conn_out(c), status,
            status == 503       ? RETRY_AFTER_S
                : status == 429 ? guard_retry_s()
                                : 0,
            detail ? detail : refuse_info[reason].sentence);
    session_leave_handshake(c);
    conn_pause(c, false); /* Redis may have been asked */
    conn_finish(c);
}

void
handshake_refuse(
    struct conn *c, enum refuse_reason reason, int status, const char *detail)
{
    refuse_as(c, reason, status, "", 0, detail);
}

bool
handshake_enter(struct conn *c)
{
    const char        *detail = NULL;
    enum refuse_reason r = guard_enter(c, c->busy->handshake.proxied, &detail);

    if (r != REFUSE_REASONS)
        handshake_refuse(c, r, 0, detail);
    return r == REFUSE_REASONS;
}

void
handshake_begin(
    int fd, enum listener_kind kind, const uint64_t addr[2], uint16_t port)
{
    STAT_INC(self.st, handshaking);
    struct conn *c = conn_new(fd, kind, addr, port, guard_from_proxy(addr));
    if (c == NULL) {
        STAT_DEC(self.st, handshaking);
        STAT_INC(self.st, refused[REFUSE_full]);
        return;
    }
    if (self.shm->draining) {
        handshake_refuse(c, REFUSE_draining, 0, NULL);
        conn_settle(c);
    } else if (!c->busy->handshake.proxy && !handshake_enter(c)) {
        conn_settle(c);
    }
}

/* The version that a rule of ocpp.version_rules prefers for this identity;
 * DIALECTS if there is none. */
static unsigned
preferred(const char *name, size_t len)
{
    char        identity[REGISTRY_NAME_MAX + 1], item[CONF_LIST_MAX];
    const char *cursor = self.conf.ocpp_version_rules;

    if (cursor[0] == '\0' || len >= sizeof identity)
        return DIALECTS;
    memcpy(identity, name, len);
    identity[len] = '\0';
    while (config_list_next(&cursor, item, sizeof item)) {
        char *version = strrchr(item, '=');
        *version++ = '\0';
        if (fnmatch(item, identity, 0) != 0)
            continue;
        for (unsigned i = 0; i < DIALECTS; i++)
            if (strcmp(version, dialects[i].name) == 0)
                return i;
    }
    return DIALECTS;
}

/* Picks among the versions that are switched on: the one that a rule prefers,
 * then in the order of ocpp.versions. */
static int
pick(const struct http_request *r, const char *identity, size_t len,
    enum dialect_number *protocol)
{
    const char *names[DIALECTS + 1];
    uint8_t     which[DIALECTS + 1] = {0};
    size_t      n = 0;
    char        item[32];
    const char *cursor = self.conf.ocpp_versions;
    unsigned    first = preferred(identity, len);

    if (first < DIALECTS) {
        names[n] = dialects[first].name;
        which[n++] = (uint8_t)first;
    }
    while (config_list_next(&cursor, item, sizeof item))
        for (unsigned i = 0; i < DIALECTS; i++)
            if (strcmp(item, dialects[i].name) == 0 && n <= DIALECTS) {
                names[n] = dialects[i].name;
                which[n++] = (uint8_t)i;
            }
    int k = http_pick_subprotocol(r, names, n);
    if (k >= 0)
        *protocol = (enum dialect_number)which[k];
    return k;
}

/* One that takes its own place over needs no other: in a storm of charge
 * points that come back, the connections they lost are still there. */
static bool
room_for(const char *name, size_t len)
{
    if (shm_sessions(self.shm) < self.conf.server_max_connections)
        return true;
    uint32_t entry = registry_find(self.registry, name, len, false);
    return entry != REGISTRY_NONE &&
        registry_at(self.registry, entry)->owner != 0;
}

/* answer: of Redis, NULL if it was not asked yet. False: it is being asked,
 * and all this comes again with the answer. */
static bool
complete(struct conn *c, const struct http_request *r,
    struct auth_redis_answer *answer)
{
    char   name[REGISTRY_NAME_MAX + 1];
    size_t len = 0;
    size_t max = self.conf.ocpp_max_identity_length;

    enum http_identity e =
        http_identity(r->path, self.conf.server_path, max, name, &len);
    if (e != HTTP_ID_OK) {
        handshake_refuse(c,
            e == HTTP_ID_PATH       ? REFUSE_wrong_path
                : e == HTTP_ID_LONG ? REFUSE_long_identity
                                    : REFUSE_bad_identity,
            http_identity_status(e), http_identity_sentence(e));
        return true;
    }

    struct auth_redis_answer silent = {0};
    if (answer == NULL) {
        if (auth_asks() && auth_redis_ask(c, name, len))
            return false;
        if (auth_asks())
            auth_redis_recall(name, len, &silent);
        answer = &silent;
    }
    const char        *detail = NULL;
    enum refuse_reason refused = auth_check(r, name, len, answer, &detail);
    if (refused == REFUSE_REASONS)
        refused = guard_identity(name, len, &detail);
    if (refused == REFUSE_REASONS && !room_for(name, len))
        refused = REFUSE_full;
    if (refused != REFUSE_REASONS) {
        refuse_as(c, refused, 0, name, len, detail);
        return true;
    }

    enum dialect_number protocol = DIALECT_UNNAMED;
    int                 picked = pick(r, name, len, &protocol);
    bool                named = picked >= 0;
    if (picked == HTTP_OFFERED_NOTHING &&
        self.conf.websocket_accept_missing_subprotocol) {
        STAT_INC(self.st, missing_subprotocol);
        picked = 0;
    }

    uint64_t began_us = c->busy->handshake.began_us;
    char     accept[HTTP_ACCEPT_LEN + 1];
    http_accept_key(r->key, accept);
    if (picked >= 0) {
        enum registry_result got = session_open(c, name, len, protocol);
        if (got != REGISTRY_OK) {
            refuse_as(c,
                got == REGISTRY_BUSY ? REFUSE_registry_busy
                                     : REFUSE_identities_full,
                0, name, len, NULL);
            return true;
        }
        auth_welcomed(c->session.entry, answer);
    }
    http_put_switching(
        conn_out(c), accept, named ? dialects[protocol].name : NULL);
    if (picked < 0) {
        /* OCPP-J 1.6 section 3.2: complete the handshake, then close. */
        session_reject_version(c, name, len);
        return true;
    }
    STAT_INC(self.st, handshakes);
    histogram_add(&self.st->handshake_time, clock_mono_ns() / 1000u - began_us);
    return true;
}

/* The request is there; false if it waits for Redis. */
static bool
take_request(struct conn *c, const struct http_request *r,
    struct auth_redis_answer *answer)
{
    /* Bytes of the WebSocket may be behind the request already. */
    struct buf request = c->busy->handshake.in;

    c->busy->handshake.in = BUF_INIT(request.max);
    if (!complete(c, r, answer)) {
        c->busy->handshake.in = request;
        return false;
    }
    if (c->state == CONN_OPEN && request.len > r->consumed)
        session_bytes(c, (const uint8_t *)request.p + r->consumed,
            request.len - r->consumed);
    buf_free(&request);
    return true;
}

void
handshake_answered(struct conn *c, struct auth_redis_answer *answer)
{
    struct http_request r = {0};

    ensure(http_parse(c->busy->handshake.in.p, c->busy->handshake.in.len, &r) ==
        HTTP_COMPLETE);
    conn_pause(c, false);
    take_request(c, &r, answer);
}

void
handshake_input(struct conn *c, const uint8_t *p, size_t n)
{
    struct http_request r;
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
        handshake_refuse(c,
            r.status == 426 ? REFUSE_not_websocket : REFUSE_bad_request,
            r.status, r.sentence);
        return;
    case HTTP_COMPLETE:
        break;
    }
    if (!take_request(c, &r, NULL)) {
        /* Who speaks before it was answered has no claim to be kept. */
        if (take < n)
            handshake_refuse(c, REFUSE_too_large, 0, NULL);
        else
            conn_pause(c, true);
    } else if (c->state == CONN_OPEN && take < n) {
        session_bytes(c, p + take, n - take);
    }
}
