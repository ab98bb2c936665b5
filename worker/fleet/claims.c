/* claims: the sessions of this worker in Redis. See claims.h. */
#include "fleet/claims.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "base/self.h"
#include "base/up.h"
#include "fleet/call_queue.h"
#include "fleet/claim.h"
#include "fleet/inbox.h"
#include "fleet/redis.h"
#include "fleet/releases.h"
#include "fleet/shards.h"
#include "journal_line.h"
#include "log.h"
#include "ocpp/dialect.h"

#define REFRESH_S 30 /* seconds between refreshes of a session */
/* Claims that may be without an answer at the same time. */
#define CLAIMS_MAX 2000

struct claim_request {
    cref     conn;
    uint64_t generation;
    uint32_t round;
    uint16_t shard;
    uint8_t  len;
    char     identity[IDENTITY_MAX];
};

static uint32_t claims_out;
static uint64_t unclaimed;
static bool     finishing;

void
claims_before_claim(void)
{
    if (redis_on())
        shards_raise_sequence(shards_now_us());
}

/* --- the end of a session ------------------------------------------------ */

void
claims_closed(struct conn *c, enum close_reason reason)
{
    struct claim *claim = claim_of(c);
    size_t        len;

    if (claim == NULL)
        return;
    /* If a claim is in progress, claimed_cb() finds the connection closed and
     * releases the session. */
    const char *name = registry_name(self.registry, c->session.entry, &len);
    if (claim->epoch != 0 && !(claim->flags & CLAIM_ASKED) &&
        !call_queue_close(claim, (unsigned)reason))
        releases_add(name, len, claim->shard, claim->epoch, reason);
    *claim = (struct claim){0};
}

/* --- claims -------------------------------------------------------------- */

static void
claimed_cb(void *ctx, const struct redis_value *v)
{
    struct claim_request *request = ctx;
    struct conn          *c = conn_find(request->conn);
    struct claim         *claim = c ? claim_of(c) : NULL;
    uint64_t              epoch = 0;
    bool                  ok = v != NULL && redis_is(redis_at(v, 0), "ok") &&
        redis_number(redis_at(v, 1), JOURNAL_NUMBER_MAX, &epoch);

    claims_out--;
    if (claim == NULL) {
        /* The connection has ended meanwhile. Without an answer the epoch, if
         * one was granted, is the generation. */
        if (ok || v == NULL)
            releases_add(request->identity, request->len, request->shard,
                ok ? epoch : request->generation, CLOSE_peer_vanished);
        free(request);
        return;
    }
    claim->flags &= (uint8_t) ~(CLAIM_ASKED | CLAIM_LATE);
    /* Without an answer the claim may have succeeded nevertheless: if the
     * connection ends before it is claimed again, release the session. */
    if (v == NULL && claim->epoch == 0)
        claim->epoch = request->generation;
    if (request->round != shards[request->shard].round) {
        ; /* the sweep claims it again */
    } else if (ok) {
        STAT_INC(self.st, claims);
        claim->flags |= CLAIM_HELD;
        claim->round = request->round;
        claim->epoch = epoch;
        /* The granted epoch becomes the generation that consumers see. */
        if (epoch > c->generation) {
            shards_pass(epoch);
            c->generation = epoch;
        }
        if (redis_u64(redis_at(v, 3), UINT32_MAX) > 0)
            claim->flags |= CLAIM_WAITING;
        if (claim->flags & CLAIM_WAITING)
            up_calls_wait(c);
    } else if (v != NULL && redis_is(redis_at(v, 0), "stale")) {
        STAT_INC(self.st, claims_stale);
        log_info(
            "%.*s has connected to gateway %s since then; its connection here "
            "ends",
            request->len, request->identity, redis_text(redis_at(v, 2), NULL));
        claim->epoch = 0; /* this worker has nothing to release */
        up_replaced(c);
    }
    free(request);
}

static void
send_claim(struct conn *c, struct claim *claim)
{
    struct registry_entry *e = registry_at(self.registry, c->session.entry);
    struct shard          *sh = &shards[claim->shard];
    char                   from[ADDRESS_LEN];
    uint64_t               addr[2] = {e->addr[0], e->addr[1]};
    size_t                 len;
    const char *name = registry_name(self.registry, c->session.entry, &len);

    if (!sh->alive || (claim->flags & (CLAIM_ASKED | CLAIM_ARRIVING)) ||
        claims_out >= CLAIMS_MAX || redis_troubled() || finishing)
        return;
    struct claim_request *request = malloc(sizeof *request);
    if (request == NULL)
        return;
    *request = (struct claim_request){.conn = c->self,
        .generation = claim->generation,
        .round = sh->round,
        .shard = claim->shard,
        .len = (uint8_t)len};
    memcpy(request->identity, name, len);
    address_text(from, addr, e->port);
    redis_begin("FCALL");
    redis_name("claim", "2");
    redis_identity(claim->shard, name, len);
    redis_add(shards_owner());
    redis_add(shards_incarnation());
    redis_addu(claim->generation);
    redis_addu(claim->err);
    redis_add(from);
    redis_add(dialects[c->session.protocol].name);
    redis_addu((uint64_t)e->since * 1000);
    redis_add(call_queue_held(claim));
    if (!redis_send(claim->shard, claimed_cb, request)) {
        free(request);
        return;
    }
    claims_out++;
    claim->flags |= CLAIM_ASKED;
}

void
claims_opened(struct conn *c)
{
    if (!redis_on())
        return;
    struct claim *claim = claim_place(c);
    size_t        len;
    const char   *name = registry_name(self.registry, c->session.entry, &len);
    *claim = (struct claim){.conn = c->self,
        .generation = c->generation,
        .shard = (uint16_t)redis_shard(name, len)};
    /* The sequence may be ahead of the time, because other workers and events
     * have drawn numbers. */
    uint64_t now = shards_now_us(), err = shards_clock_err();
    if (c->generation > now)
        err += c->generation - now;
    claim->err = err < UINT32_MAX ? (uint32_t)err : UINT32_MAX;
    send_claim(c, claim);
}

/* --- refresh ------------------------------------------------------------- */

static void
refreshed_cb(void *ctx, const struct redis_value *v)
{
    size_t len;

    (void)ctx;
    if (v == NULL || redis_error(v) != NULL)
        return;
    for (unsigned list = 0; list < 2; list++)
        for (size_t i = 0; i < redis_count(redis_at(v, list)); i++) {
            const char   *id = redis_text(redis_at(redis_at(v, list), i), &len);
            struct conn  *c = claim_find_conn(id, len);
            struct claim *claim = c ? claim_of(c) : NULL;
            if (claim == NULL)
                continue;
            if (list == 0)
                send_claim(c, claim); /* the answer is either ok or stale */
            else
                call_queue_wake(c);
        }
}

static void
refresh(unsigned shard)
{
    struct shard *sh = &shards[shard];
    unsigned      n = 0;

    redis_begin("FCALL");
    redis_name("refresh", "2");
    redis_stream(shard);
    redis_add(shards_owner());
    redis_add(shards_incarnation());
    for (unsigned i = 0; i < sh->refresh_n; i++) {
        struct conn  *c = conn_at(sh->refresh[i]);
        struct claim *claim = c->state == CONN_OPEN ? claim_of(c) : NULL;
        if (claim == NULL || !(claim->flags & CLAIM_HELD))
            continue;
        struct registry_entry *e = registry_at(self.registry, c->session.entry);
        size_t                 len;
        const char *name = registry_name(self.registry, c->session.entry, &len);
        redis_addn(name, len);
        redis_addu(claim->epoch);
        redis_addu((uint64_t)e->last_seen * 1000);
        n++;
    }
    sh->refresh_n = 0;
    if (n > 0)
        redis_send(shard, refreshed_cb, NULL);
}

void
claims_check(struct conn *c)
{
    struct claim *claim = claim_of(c);

    if (claim == NULL)
        return;
    struct shard *sh = &shards[claim->shard];
    if (!sh->alive) {
        unclaimed++;
        return;
    }
    bool held = (claim->flags & CLAIM_HELD) && claim->round == sh->round;
    unclaimed += !held;
    if (!held || (claim->flags & CLAIM_LATE)) {
        send_claim(c, claim);
        return;
    }
    if (claim->flags & CLAIM_WAITING)
        up_calls_wait(c);
    if ((self.now_ms / 1000 + conn_index(c)) % REFRESH_S == 0) {
        sh->refresh[sh->refresh_n++] = conn_index(c);
        if (sh->refresh_n == SHARD_BATCH)
            refresh(claim->shard);
    }
}

/* --- the whole ----------------------------------------------------------- */

/* Outcomes are sent before the entries of the inbox are read. */
static void
shard_alive(unsigned shard, bool new_server, const char *last_entry)
{
    call_queue_ready(shard, new_server);
    inbox_resume(shard, last_entry);
}

void
claims_open(uint32_t capacity, const char *inherited)
{
    if (!redis_on())
        return;
    if (!claim_table_open(capacity)) {
        log_error("no memory for the sessions of %u connections; this worker "
                  "ends. Lower server.max_connections, or give it memory",
            capacity);
        exit(1);
    }
    shards_open(inherited, shard_alive);
    inbox_open();
}

void
claims_tick(void)
{
    static uint32_t second_ms;

    if (!redis_on())
        return;
    shards_tick();
    for (unsigned i = 0; i < redis_shards(); i++)
        if (redis_ready(i) && shards[i].alive)
            inbox_tick(i);
    if (self.now_ms - second_ms < 1000)
        return;
    second_ms = self.now_ms;
    STAT_SET(self.st, sessions_unclaimed, unclaimed);
    unclaimed = 0;
    for (unsigned i = 0; i < redis_shards(); i++)
        if (shards[i].refresh_n > 0 && shards[i].alive)
            refresh(i);
    /* Outcomes are sent first, because the release of a session gives a command
     * that was sent the outcome `uncertain`. */
    call_queue_tick();
    releases_tick();
}

bool
claims_finish(void)
{
    if (!redis_on())
        return true;
    if (claims_out > 0 || releases_busy() || call_queue_busy())
        return false;
    if (!finishing) {
        inbox_close();
        shards_leave();
    }
    finishing = true;
    return redis_pending() == 0;
}

/* --- the move to another process ----------------------------------------- */

void
claims_write(const struct conn *c, struct buf *out)
{
    const struct claim *s = claim_of(c);

    if (s == NULL)
        return;
    /* A claim without an answer may have succeeded, so its epoch is moved
       too. */
    uint64_t epoch =
        s->epoch == 0 && (s->flags & CLAIM_ASKED) ? s->generation : s->epoch;
    fields_put_u64(out, "claim_generation", s->generation);
    fields_put_u64(out, "claim_epoch", epoch);
    fields_put_u64(out, "claim_err", s->err);
    fields_put_u64(out, "claim_waiting", (s->flags & CLAIM_WAITING) != 0);
    fields_put_u64(out, "claim_ended", call_queue_has_ended(s));
}

/* The sweep claims the session again, either with the same owner (a repetition)
 * or with another owner of the same node. */
bool
claims_read(struct conn *c, struct fields *f)
{
    size_t len;

    if (!redis_on() || c->state != CONN_OPEN)
        return true;
    const char *name = registry_name(self.registry, c->session.entry, &len);
    *claim_place(c) = (struct claim){.conn = c->self,
        .generation =
            fields_u64(f, "claim_generation", c->generation, UINT64_MAX),
        .epoch = fields_u64(f, "claim_epoch", 0, UINT64_MAX),
        .err = (uint32_t)fields_u64(f, "claim_err", 0, UINT32_MAX),
        .flags = CLAIM_ARRIVING |
            (fields_bool(f, "claim_waiting", false) ? CLAIM_WAITING : 0),
        .shard = (uint16_t)redis_shard(name, len)};
    if (fields_bool(f, "claim_ended", false))
        call_queue_claim_again(c, claim_place(c)->epoch);
    return true;
}

void
claims_arrived(const struct conn *c)
{
    struct claim *s = claim_of(c);

    if (s != NULL)
        s->flags &= (uint8_t)~CLAIM_ARRIVING;
}

void
claims_forget(const struct conn *c)
{
    struct claim *s = claim_of(c);

    if (s != NULL)
        *s = (struct claim){0};
}

void
claims_put(struct buf *out)
{
    if (!redis_on())
        return;
    fields_begin(out, "fleet");
    fields_put_str(out, "incarnation", shards_incarnation());
    fields_end(out);
    releases_put(out);
    inbox_put(out);
    call_queue_put(out);
}

bool
claims_take(struct fields *f)
{
    return releases_take(f) || inbox_take(f) || call_queue_take(f);
}
