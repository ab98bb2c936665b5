/* shards: what this worker does with each shard as a whole. See shards.h. */
#include "fleet/shards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fleet/claims.h"
#include "log.h"
#include "fleet/call_queue.h"
#include "fleet/redis.h"
#include "base/self.h"
#include "base/up.h"

#define BEAT_MS 1000
#define TRIM_MS 5000
/* between beats while another process has our name */
#define REPLACED_MS 10000
#define POLL_MS 100   /* of inboxes in a cluster */
#define BLOCK_MS 5000 /* of the inbox otherwise */
#define INBOX_BATCH 200
#define ERR_UNKNOWN 2000000 /* us: our clock against Redis' before we asked */
#define ERR_GROWTH 50       /* us per second of age of what we know */

struct shard *shards;

static const char *owner, *incarnation;
static uint32_t    rounds;
static bool        left;

/* Redis' clock minus our monotonic one, and how well we know it, in us. */
static int64_t  offset_us;
static uint64_t offset_err, offset_at_us;

struct asking {
    unsigned shard;
    uint32_t round;
    uint64_t sent_us;
};

/* --- time ---------------------------------------------------------------- */

uint64_t
shards_clock_err(void)
{
    if (offset_at_us == 0)
        return ERR_UNKNOWN;
    uint64_t now = clock_mono_ns() / 1000u;
    return offset_err + (now - offset_at_us) / 1000000 * ERR_GROWTH;
}

uint64_t
shards_now_us(void)
{
    if (offset_at_us == 0)
        return clock_wall_us();
    return (uint64_t)((int64_t)(clock_mono_ns() / 1000u) + offset_us);
}

/* A request sent at sent_us was executed at redis_us. */
static void
learn_time(uint64_t sent_us, uint64_t redis_us)
{
    uint64_t now = clock_mono_ns() / 1000u, err = (now - sent_us) / 2 + 1;

    if (redis_us == 0 || (offset_at_us != 0 && err > shards_clock_err()))
        return;
    offset_us = (int64_t)redis_us - (int64_t)((now + sent_us) / 2);
    offset_err = err;
    offset_at_us = now;
}

void
shards_raise_sequence(uint64_t least)
{
    uint64_t seen = atomic_load(&self.shm->sequence);

    while (seen < least &&
        !atomic_compare_exchange_weak(&self.shm->sequence, &seen, least))
        ;
}

static struct asking *
asking(unsigned shard)
{
    struct asking *a = malloc(sizeof *a);

    if (a != NULL)
        *a = (struct asking){
            shard, shards[shard].round, clock_mono_ns() / 1000u};
    return a;
}

/* --- the inbox ----------------------------------------------------------- */

/* Field `name` of an entry's list of fields and values. */
static const char *
entry_field(const struct redis_value *fields, const char *name, size_t *len)
{
    for (size_t i = 0; i + 1 < redis_count(fields); i += 2)
        if (redis_is(redis_at(fields, i), name))
            return redis_text(redis_at(fields, i + 1), len);
    *len = 0;
    return "";
}

static void
look_at(const struct redis_value *fields)
{
    size_t       len, n;
    const char  *what = entry_field(fields, "what", &n);
    const char  *id = entry_field(fields, "identity", &len);
    struct conn *c = claims_find(id, len);

    if (strcmp(what, "command") == 0) {
        if (c != NULL)
            call_queue_wake(c);
    } else if (strcmp(what, "replaced") == 0) {
        struct claim *claim = c ? claims_of(c) : NULL;
        uint64_t epoch = strtoull(entry_field(fields, "epoch", &n), NULL, 10);
        if (claim != NULL && claim->epoch != 0 && claim->epoch < epoch) {
            log_info("%.*s connected to gateway %s; its connection here ends",
                (int)len, id, entry_field(fields, "by", &n));
            claim->epoch = 0; /* another gateway's by now: nothing to release */
            up_replaced(c);
        }
    } else if (strcmp(what, "answer") == 0) {
        const char *payload = entry_field(fields, "payload", &n);
        size_t      token_len;
        const char *token = entry_field(fields, "token", &token_len);
        up_platform_answered(token, payload, n);
    }
}

/* The answer to XREAD: streams with their entries. */
static void
take_entries(const struct redis_value *v)
{
    for (size_t i = 0; i < redis_count(v); i++) {
        const struct redis_value *stream = redis_at(v, i),
                                 *entries = redis_at(stream, 1);
        size_t      n = redis_count(entries);
        const char *key = redis_text(redis_at(stream, 0), NULL);
        const char *at = strstr(key, ":events:");
        unsigned    shard = at ? (unsigned)strtoul(at + 8, NULL, 10) : 0;
        if (shard >= redis_shards() || n == 0)
            continue;
        snprintf(shards[shard].inbox, sizeof shards[shard].inbox, "%s",
            redis_text(redis_at(redis_at(entries, n - 1), 0), NULL));
        for (size_t k = 0; k < n; k++)
            look_at(redis_at(redis_at(entries, k), 1));
    }
}

static void listen_on(void);

static void
heard_cb(void *ctx, const struct redis_value *v)
{
    (void)ctx;
    if (v == NULL)
        return; /* shards_listen() follows when it is there again */
    if (redis_error(v) == NULL)
        take_entries(v);
    listen_on();
}

static void
read_inboxes(unsigned first, unsigned n, bool block)
{
    redis_begin("XREAD");
    redis_add("COUNT");
    redis_addu(INBOX_BATCH);
    if (block) {
        redis_add("BLOCK");
        redis_addu(BLOCK_MS);
    }
    redis_add("STREAMS");
    for (unsigned i = first; i < first + n; i++)
        redis_key(i, "inbox", owner);
    for (unsigned i = first; i < first + n; i++)
        redis_add(shards[i].inbox[0] ? shards[i].inbox : "$");
}

static void
listen_on(void)
{
    if (redis_is_cluster() || left)
        return;
    for (unsigned i = 0; i < redis_shards(); i++)
        if (shards[i].inbox[0] == '\0')
            return; /* the first beats come first */
    read_inboxes(0, redis_shards(), true);
    redis_send_waiting(heard_cb, NULL, BLOCK_MS);
}

static void
polled_cb(void *ctx, const struct redis_value *v)
{
    struct asking *a = ctx;

    if (a->round == shards[a->shard].round) {
        shards[a->shard].polling = false;
        if (v != NULL && redis_error(v) == NULL)
            take_entries(v);
    }
    free(a);
}

static void
poll_inbox(unsigned shard)
{
    struct asking *a = asking(shard);

    read_inboxes(shard, 1, false);
    if (a != NULL && redis_send(shard, polled_cb, a))
        shards[shard].polling = true;
    else
        free(a);
}

/* --- the beat ------------------------------------------------------------ */

/* Whether stream id x is older than y. */
static bool
older(const char *x, const char *y)
{
    char              *xe, *ye;
    unsigned long long xm = strtoull(x, &xe, 10), ym = strtoull(y, &ye, 10);

    if (xm != ym)
        return xm < ym;
    return (*xe ? strtoull(xe + 1, NULL, 10) : 0) <
        (*ye ? strtoull(ye + 1, NULL, 10) : 0);
}

static void
sum_up(void)
{
    uint64_t due = 0, events = 0;

    for (unsigned i = 0; i < redis_shards(); i++) {
        due += shards[i].due;
        if (shards[i].events > events)
            events = shards[i].events;
    }
    STAT_SET(self.st, orders_waiting, due);
    STAT_SET(self.st, stream_events, events);
}

static void
beaten_cb(void *ctx, const struct redis_value *v)
{
    struct asking *a = ctx;
    struct shard  *sh = &shards[a->shard];

    if (a->round != sh->round) {
        free(a);
        return;
    }
    sh->beating = false;
    if (v == NULL || redis_error(v) != NULL) {
        free(a);
        return;
    }
    learn_time(a->sent_us, (uint64_t)redis_int(redis_at(v, 1)));
    bool replaced = redis_is(redis_at(v, 0), "replaced");
    if (replaced && !sh->replaced) {
        log_error(
            "another gateway uses the name %s in Redis; give each gateway its own "
            "server.node. This one takes no commands now",
            owner);
        redis_say("name",
            "another gateway uses the name %s; change server.node", owner);
    } else if (!replaced && sh->replaced) {
        log_warn("this gateway has the name %s in Redis again", owner);
        redis_say("ready", "connected");
    }
    sh->replaced = replaced;
    if (replaced) {
        sh->beaten = false;
        free(a);
        return;
    }
    sh->due = (uint64_t)redis_int(redis_at(v, 2));
    sh->events = (uint64_t)redis_int(redis_at(v, 3));
    STAT_ADD(self.st, orders_expired, (uint64_t)redis_int(redis_at(v, 4)));
    sum_up();
    bool full = sh->events >= config_stream_alarm(&self.conf);
    if (full != sh->alarmed) {
        sh->alarmed = full;
        if (full)
            log_error(
                "stream %s:events:%u holds %llu events that consumers have not "
                "acknowledged; above redis.stream_max (%llu) the oldest are cut",
                self.conf.redis_prefix, a->shard,
                (unsigned long long)sh->events,
                (unsigned long long)self.conf.redis_stream_max);
        else
            log_warn("stream %s:events:%u has room again",
                self.conf.redis_prefix, a->shard);
    }
    if (!sh->beaten) {
        const char *last = redis_text(redis_at(v, 5), NULL);
        bool        first = sh->inbox[0] == '\0';
        /* What is in the inbox from before the first beat, the claims tell;
         * a server that lost entries goes on from its own last one. */
        if (first || older(last, sh->inbox))
            snprintf(sh->inbox, sizeof sh->inbox, "%s", last);
        sh->beaten = true;
        call_queue_ready(a->shard, sh->new_server);
        if (first)
            listen_on();
    }
    free(a);
}

static void
beat(unsigned shard)
{
    struct shard  *sh = &shards[shard];
    struct asking *a = asking(shard);

    sh->beat_ms = self.now_ms;
    redis_begin("FCALL");
    redis_name("beat", "2");
    redis_stream(shard);
    redis_add(owner);
    redis_add(incarnation);
    redis_addu(self.conf.redis_session_ttl);
    if (a != NULL && redis_send(shard, beaten_cb, a))
        sh->beating = true;
    else
        free(a);
}

static void
trimmed_cb(void *ctx, const struct redis_value *v)
{
    struct asking *a = ctx;

    if (a->round == shards[a->shard].round)
        shards[a->shard].trimming = false;
    if (v != NULL && redis_error(v) == NULL) {
        uint64_t cut = (uint64_t)redis_int(redis_at(v, 1));
        STAT_ADD(self.st, trimmed, (uint64_t)redis_int(redis_at(v, 0)));
        STAT_ADD(self.st, trimmed_unread, cut);
        if (cut > 0)
            log_error(
                "%llu unacknowledged events were cut from stream %s:events:%u "
                "(redis.stream_max); the gateways' journals still have them",
                (unsigned long long)cut, self.conf.redis_prefix, a->shard);
    }
    free(a);
}

static void
trim(unsigned shard)
{
    struct asking *a = asking(shard);

    redis_begin("FCALL");
    redis_name("trim", "2");
    redis_stream(shard);
    redis_addu(self.conf.redis_stream_age);
    redis_addu(self.conf.redis_stream_max);
    if (a != NULL && redis_send(shard, trimmed_cb, a))
        shards[shard].trimming = true;
    else
        free(a);
}

void
shards_tick(void)
{
    for (unsigned i = 0; i < redis_shards(); i++) {
        struct shard *sh = &shards[i];
        if (!redis_ready(i) || left)
            continue;
        if (!sh->beating &&
            self.now_ms - sh->beat_ms >= (sh->replaced ? REPLACED_MS : BEAT_MS))
            beat(i);
        if (!sh->beaten)
            continue;
        if (!sh->trimming && self.now_ms - sh->trim_ms >= TRIM_MS) {
            sh->trim_ms = self.now_ms;
            trim(i);
        }
        if (redis_is_cluster() && !sh->polling &&
            self.now_ms - sh->poll_ms >= POLL_MS) {
            sh->poll_ms = self.now_ms;
            poll_inbox(i);
        }
    }
}

/* --- the whole ----------------------------------------------------------- */

void
shards_open(const char *own, const char *inc)
{
    owner = own;
    incarnation = inc;
    shards = calloc(redis_shards(), sizeof *shards);
    if (shards == NULL) {
        log_error("no memory for %u shards", redis_shards());
        exit(1);
    }
}

static void
left_cb(void *ctx, const struct redis_value *v)
{
    (void)ctx, (void)v;
}

void
shards_leave(void)
{
    left = true;
    for (unsigned i = 0; i < redis_shards(); i++) {
        redis_begin("FCALL");
        redis_name("leave", "2");
        redis_stream(i);
        redis_add(owner);
        redis_add(incarnation);
        redis_send(i, left_cb, NULL);
    }
}

void
shards_ready(unsigned shard, bool new_server)
{
    struct shard *sh = &shards[shard];

    sh->round = ++rounds;
    sh->beaten = sh->beating = sh->polling = sh->trimming = sh->replaced =
        false;
    sh->new_server = new_server;
    sh->trim_ms = self.now_ms - (self.slot * 977) % TRIM_MS;
    beat(shard);
}

void
shards_lost(unsigned shard)
{
    shards[shard].beaten = false;
}

void
shards_listen(void)
{
    listen_on();
}
