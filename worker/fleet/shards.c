/* shards: keepalives, trimming and time of each shard. See shards.h. */
#include "fleet/shards.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "clock.h"
#include "fleet/redis.h"
#include "journal_line.h"
#include "log.h"

#define TIME_MAX_US (UINT64_C(1) << 53) /* of a clock of Redis */
#define COUNT_MAX (UINT64_C(1) << 53)
#define KEEPALIVE_MS 1000
#define TRIM_MS 5000
/* Ms between keepalives while another process uses this name. */
#define REPLACED_MS 10000
/* us: the assumed error of this clock before the first answer of Redis */
#define ERR_UNKNOWN 2000000
#define ERR_GROWTH 50 /* us per second of age of the last answer */

struct shard *shards;

static char             owner[64], incarnation[24];
static shards_alive_fn *shard_alive;
static uint32_t         rounds;
static bool             left;

/* The clock of Redis minus the monotonic clock of this machine, and the
 * greatest error of this difference, in us. */
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

/* Takes a measurement: a request sent at sent_us was executed at redis_us of
 * the clock of Redis. */
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

void
shards_pass(uint64_t epoch)
{
    if (epoch < JOURNAL_NUMBER_MAX - 1)
        shards_raise_sequence(epoch + 1);
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

/* --- keepalive ----------------------------------------------------------- */

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
kept_alive_cb(void *ctx, const struct redis_value *v)
{
    struct asking *a = ctx;
    struct shard  *sh = &shards[a->shard];

    if (a->round != sh->round) {
        free(a);
        return;
    }
    sh->waiting = false;
    if (v == NULL || redis_error(v) != NULL) {
        free(a);
        return;
    }
    learn_time(a->sent_us, redis_u64(redis_at(v, 1), TIME_MAX_US));
    bool replaced = redis_is(redis_at(v, 0), "replaced");
    if (replaced && !sh->replaced) {
        log_error(
            "another gateway uses the name %s in Redis; give each gateway its "
            "own server.node. Until then this gateway takes no commands",
            owner);
        redis_set_status("name",
            "another gateway uses the name %s; change server.node", owner);
    } else if (!replaced && sh->replaced) {
        log_warn("this gateway has the name %s in Redis again", owner);
        redis_set_status("ready", "connected");
    }
    sh->replaced = replaced;
    if (replaced) {
        sh->alive = false;
        free(a);
        return;
    }
    sh->due = redis_u64(redis_at(v, 2), COUNT_MAX);
    sh->events = redis_u64(redis_at(v, 3), COUNT_MAX);
    STAT_ADD(self.st, orders_expired, redis_u64(redis_at(v, 4), COUNT_MAX));
    sum_up();
    bool full = sh->events >= config_stream_alarm(&self.conf);
    if (full != sh->alarmed) {
        sh->alarmed = full;
        if (full)
            log_error(
                "stream %s:events:%u holds %llu events that consumers have not "
                "acknowledged; above redis.stream_max (%llu) the oldest are "
                "cut. Let the consumers read them, or raise it",
                self.conf.redis_prefix, a->shard,
                (unsigned long long)sh->events,
                (unsigned long long)self.conf.redis_stream_max);
        else
            log_warn("stream %s:events:%u has room again",
                self.conf.redis_prefix, a->shard);
    }
    if (!sh->alive) {
        sh->alive = true;
        shard_alive(a->shard, sh->new_server, redis_text(redis_at(v, 5), NULL));
    }
    free(a);
}

static void
send_keepalive(unsigned shard)
{
    struct shard  *sh = &shards[shard];
    struct asking *a = asking(shard);

    sh->keepalive_ms = self.now_ms;
    redis_begin("FCALL");
    redis_name("keepalive", "2");
    redis_stream(shard);
    redis_add(owner);
    redis_add(incarnation);
    redis_addu(self.conf.redis_session_ttl);
    if (a != NULL && redis_send(shard, kept_alive_cb, a))
        sh->waiting = true;
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
        uint64_t cut = redis_u64(redis_at(v, 1), COUNT_MAX);
        STAT_ADD(self.st, trimmed, redis_u64(redis_at(v, 0), COUNT_MAX));
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
        if (!sh->waiting &&
            self.now_ms - sh->keepalive_ms >=
                (sh->replaced ? REPLACED_MS : KEEPALIVE_MS))
            send_keepalive(i);
        if (!sh->alive)
            continue;
        if (!sh->trimming && self.now_ms - sh->trim_ms >= TRIM_MS) {
            sh->trim_ms = self.now_ms;
            trim(i);
        }
    }
}

/* --- the whole ----------------------------------------------------------- */

void
shards_open(const char *inherited, shards_alive_fn *alive)
{
    shard_alive = alive;
    snprintf(owner, sizeof owner, "%s/%u", self.shm->node, self.slot);
    /* A later process with this name has a higher number, also after
     * restarts. */
    if (inherited[0] != '\0')
        snprintf(incarnation, sizeof incarnation, "%s", inherited);
    else
        snprintf(incarnation, sizeof incarnation, "%016" PRIx64,
            (uint64_t)atomic_fetch_add(&self.shm->sequence, 1));
    shards = calloc(redis_shards(), sizeof *shards);
    if (shards == NULL) {
        log_error("no memory for redis.shards = %u; this worker ends",
            redis_shards());
        exit(1);
    }
}

const char *
shards_owner(void)
{
    return owner;
}

const char *
shards_incarnation(void)
{
    return incarnation;
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
    sh->alive = sh->waiting = sh->trimming = sh->replaced = false;
    sh->new_server = new_server;
    sh->trim_ms = self.now_ms - (self.slot * 977) % TRIM_MS;
    send_keepalive(shard);
}

void
shards_lost(unsigned shard)
{
    shards[shard].alive = false;
}
