/* claims: this worker's part in a fleet of gateways. See claims.h. */
#include "fleet/claims.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "fleet/call_queue.h"
#include "ocpp/dialect.h"
#include "fleet/redis.h"
#include "base/self.h"
#include "fleet/shards.h"
#include "base/up.h"

#define REFRESH_S 30    /* of each session */
#define CLAIMS_MAX 2000 /* unanswered */

/* A session with an end that is to be reported to Redis. */
struct leaving {
    struct leaving *next;
    uint64_t        epoch;
    uint16_t        shard;
    uint8_t         reason;
    uint8_t         len;
    char            identity[REGISTRY_NAME_MAX];
};

struct claim {
    cref     conn;
    uint64_t generation;
    uint32_t round;
    uint16_t shard;
    uint8_t  len;
    char     identity[REGISTRY_NAME_MAX];
};

static struct seat    *seats;
static uint32_t        claims_out;
static uint64_t        releases_out, unclaimed;
static struct leaving *leaving;
static char            owner[64], incarnation[24];
static bool            finishing;

void
claims_before_claim(void)
{
    if (redis_on())
        shards_raise_sequence(shards_now_us());
}

/* --- seats --------------------------------------------------------------- */

const char *
claims_owner(void)
{
    return owner;
}

const char *
claims_incarnation(void)
{
    return incarnation;
}

struct seat *
claims_seat(const struct conn *c)
{
    if (seats == NULL)
        return NULL;
    struct seat *s = &seats[conn_index(c)];
    return s->conn == c->self ? s : NULL;
}

bool
claims_holds(const struct conn *c)
{
    const struct seat *s = claims_seat(c);

    return s != NULL && (s->flags & SEAT_HELD) &&
        s->round == shards[s->shard].round && redis_ready(s->shard);
}

bool
claims_is_quiet(const struct conn *c)
{
    const struct seat *s = claims_seat(c);

    return s == NULL || (!(s->flags & SEAT_ASKED) && s->order == NULL);
}

struct conn *
claims_find(const char *identity, size_t len)
{
    uint32_t entry = registry_find(self.registry, identity, len, false);

    if (entry == REGISTRY_NONE)
        return NULL;
    cref name = registry_at(self.registry, entry)->owner;
    return name != 0 && cref_slot(name) == self.slot ? conn_find(name) : NULL;
}

/* --- the end of a session ------------------------------------------------ */

static void released_cb(void *ctx, const struct redis_value *v);

static void
release(struct leaving *l)
{
    redis_begin("FCALL");
    redis_name("release", "2");
    redis_identity(l->shard, l->identity, l->len);
    redis_addu(l->epoch);
    redis_add(close_info[l->reason].word);
    redis_add(self.shm->node);
    if (shards[l->shard].beaten && redis_send(l->shard, released_cb, l)) {
        releases_out++;
        return;
    }
    l->next = leaving;
    leaving = l;
}

static void
released_cb(void *ctx, const struct redis_value *v)
{
    struct leaving *l = ctx;

    releases_out--;
    if (v != NULL && redis_error(v) == NULL) {
        free(l);
        return;
    }
    l->next = leaving; /* when Redis is there again */
    leaving = l;
}

static void
leave(const char *identity, size_t len, unsigned shard, uint64_t epoch,
    enum close_reason reason)
{
    struct leaving *l = malloc(sizeof *l);

    if (l == NULL)
        return; /* the session ends when the charge point connects again */
    *l = (struct leaving){.epoch = epoch,
        .shard = (uint16_t)shard,
        .reason = (uint8_t)reason,
        .len = (uint8_t)len};
    memcpy(l->identity, identity, len);
    release(l);
}

void
claims_closed(struct conn *c, enum close_reason reason)
{
    struct seat *s = claims_seat(c);
    size_t       len;

    if (s == NULL)
        return;
    /* While the claim is under way, its answer sees that we are gone. */
    const char *name = registry_name(self.registry, c->session.entry, &len);
    if (s->epoch != 0 && !(s->flags & SEAT_ASKED) &&
        !call_queue_close(s, (unsigned)reason))
        leave(name, len, s->shard, s->epoch, reason);
    *s = (struct seat){0};
}

/* What call_queue_close() put off: the answer to a take is there. */
void
claims_release(const char *identity, size_t len, unsigned shard, uint64_t epoch,
    unsigned reason)
{
    leave(identity, len, shard, epoch, (enum close_reason)reason);
}

/* --- claims -------------------------------------------------------------- */

static void
claimed_cb(void *ctx, const struct redis_value *v)
{
    struct claim *k = ctx;
    struct conn  *c = conn_find(k->conn);
    struct seat  *s = c ? claims_seat(c) : NULL;
    bool          ok = v != NULL && redis_is(redis_at(v, 0), "ok");
    uint64_t      epoch = v ? (uint64_t)redis_int(redis_at(v, 1)) : 0;

    claims_out--;
    if (s == NULL) {
        /* It ended meanwhile. Without an answer, its generation is the epoch
         * it got, if it got one. */
        if (ok || v == NULL)
            leave(k->identity, k->len, k->shard, ok ? epoch : k->generation,
                CLOSE_peer_vanished);
        free(k);
        return;
    }
    s->flags &= (uint8_t) ~(SEAT_ASKED | SEAT_LATE);
    /* Without an answer the claim may have succeeded nevertheless: if the
     * connection ends before it is claimed again, release the session. */
    if (v == NULL && s->epoch == 0)
        s->epoch = k->generation;
    if (k->round != shards[k->shard].round) {
        ; /* the sweep claims it anew */
    } else if (ok) {
        STAT_INC(self.st, claims);
        s->flags |= SEAT_HELD;
        s->round = k->round;
        s->epoch = epoch;
        /* The fence is what consumers see as generation. */
        if (epoch > c->generation) {
            shards_raise_sequence(epoch + 1);
            c->generation = epoch;
        }
        if (redis_int(redis_at(v, 3)) > 0)
            s->flags |= SEAT_WAITING;
        if (s->flags & SEAT_WAITING)
            up_calls_wait(c);
    } else if (v != NULL && redis_is(redis_at(v, 0), "stale")) {
        STAT_INC(self.st, claims_stale);
        log_info(
            "%.*s has connected to gateway %s since; its connection here ends",
            k->len, k->identity, redis_text(redis_at(v, 2), NULL));
        s->epoch = 0; /* this worker has nothing to release */
        up_replaced(c);
    }
    free(k);
}

static void
claim(struct conn *c, struct seat *s)
{
    struct registry_entry *e = registry_at(self.registry, c->session.entry);
    struct shard          *sh = &shards[s->shard];
    char                   from[SHM_ADDR_LEN];
    uint64_t               addr[2] = {e->addr[0], e->addr[1]};
    size_t                 len;
    const char *name = registry_name(self.registry, c->session.entry, &len);

    if (!sh->beaten || (s->flags & SEAT_ASKED) || claims_out >= CLAIMS_MAX ||
        redis_troubled() || finishing)
        return;
    struct claim *k = malloc(sizeof *k);
    if (k == NULL)
        return;
    *k = (struct claim){.conn = c->self,
        .generation = s->generation,
        .round = sh->round,
        .shard = s->shard,
        .len = (uint8_t)len};
    memcpy(k->identity, name, len);
    shm_addr_text(from, addr, e->port);
    redis_begin("FCALL");
    redis_name("claim", "2");
    redis_identity(s->shard, name, len);
    redis_add(owner);
    redis_add(incarnation);
    redis_addu(s->generation);
    redis_addu(s->err);
    redis_add(from);
    redis_add(dialects[c->session.protocol].name);
    redis_addu((uint64_t)e->since * 1000);
    redis_add(call_queue_held(s));
    if (!redis_send(s->shard, claimed_cb, k)) {
        free(k);
        return;
    }
    claims_out++;
    s->flags |= SEAT_ASKED;
}

void
claims_opened(struct conn *c)
{
    if (seats == NULL)
        return;
    struct seat *s = &seats[conn_index(c)];
    size_t       len;
    const char  *name = registry_name(self.registry, c->session.entry, &len);
    *s = (struct seat){.conn = c->self,
        .generation = c->generation,
        .shard = (uint16_t)redis_shard(name, len)};
    /* Another worker of this node, or the events, may have drawn numbers ahead
     * of what is our time. */
    uint64_t now = shards_now_us(), err = shards_clock_err();
    if (c->generation > now)
        err += c->generation - now;
    s->err = err < UINT32_MAX ? (uint32_t)err : UINT32_MAX;
    claim(c, s);
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
            const char  *id = redis_text(redis_at(redis_at(v, list), i), &len);
            struct conn *c = claims_find(id, len);
            struct seat *s = c ? claims_seat(c) : NULL;
            if (s == NULL)
                continue;
            if (list == 0)
                claim(c, s); /* the answer is either ok or stale */
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
    redis_add(owner);
    redis_add(incarnation);
    for (unsigned i = 0; i < sh->ship_batch_n; i++) {
        struct conn *c = conn_at(sh->batch[i]);
        struct seat *s = c->state == CONN_OPEN ? claims_seat(c) : NULL;
        if (s == NULL || !(s->flags & SEAT_HELD))
            continue;
        struct registry_entry *e = registry_at(self.registry, c->session.entry);
        size_t                 len;
        const char *name = registry_name(self.registry, c->session.entry, &len);
        redis_addn(name, len);
        redis_addu(s->epoch);
        redis_addu((uint64_t)e->last_seen * 1000);
        n++;
    }
    sh->ship_batch_n = 0;
    if (n > 0)
        redis_send(shard, refreshed_cb, NULL);
}

void
claims_check(struct conn *c)
{
    struct seat *s = claims_seat(c);

    if (s == NULL)
        return;
    struct shard *sh = &shards[s->shard];
    if (!sh->beaten) {
        unclaimed++;
        return;
    }
    bool held = (s->flags & SEAT_HELD) && s->round == sh->round;
    unclaimed += !held;
    if (!held || (s->flags & SEAT_LATE)) {
        claim(c, s);
        return;
    }
    if (s->flags & SEAT_WAITING)
        up_calls_wait(c);
    if ((self.now_ms / 1000 + conn_index(c)) % REFRESH_S == 0) {
        sh->batch[sh->ship_batch_n++] = conn_index(c);
        if (sh->ship_batch_n == SHARD_BATCH)
            refresh(s->shard);
    }
}

/* --- the whole ----------------------------------------------------------- */

void
claims_open(uint32_t capacity)
{
    if (!redis_on())
        return;
    seats = calloc(capacity, sizeof *seats);
    if (seats == NULL) {
        log_error("no memory for the sessions of %u connections", capacity);
        exit(1);
    }
    snprintf(owner, sizeof owner, "%s/%u", self.shm->node, self.slot);
    /* Later processes of this name have higher ones, over restarts too. */
    snprintf(incarnation, sizeof incarnation, "%016" PRIx64,
        (uint64_t)atomic_fetch_add(&self.shm->sequence, 1));
    shards_open(owner, incarnation);
}

void
claims_tick(void)
{
    static uint32_t second_ms;

    if (seats == NULL)
        return;
    shards_tick();
    if (self.now_ms - second_ms < 1000)
        return;
    second_ms = self.now_ms;
    STAT_SET(self.st, sessions_unclaimed, unclaimed);
    unclaimed = 0;
    for (unsigned i = 0; i < redis_shards(); i++)
        if (shards[i].ship_batch_n > 0 && shards[i].beaten)
            refresh(i);
    struct leaving *l = leaving;
    leaving = NULL;
    while (l != NULL) {
        struct leaving *next = l->next;
        release(l);
        l = next;
    }
    call_queue_tick();
}

bool
claims_finish(void)
{
    if (seats == NULL)
        return true;
    if (releases_out > 0 || claims_out > 0 || leaving != NULL ||
        call_queue_busy())
        return false;
    if (!finishing)
        shards_leave();
    finishing = true;
    return redis_pending() == 0;
}
