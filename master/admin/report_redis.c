/*
 * report_redis: the state of the connection to Redis: `ocppctl redis`, and its
 * part of health and status. It reads only shared memory.
 */
#include <inttypes.h>
#include <string.h>

#include "admin/report.h"
#include "writer.h"

#define LAG_MS 60000 /* events older than this are late */

/* The state of worker i as a word; "down" before the worker has stored one. */
static const char *
word_of(const struct shm *s, unsigned i, char out[16])
{
    memcpy(out, shm_worker(s, i)->redis_word, 16);
    out[15] = '\0';
    return out[0] ? out : "down";
}

static const char *
words_of(const struct shm *s, unsigned i, char out[SHM_WORDS_MAX])
{
    memcpy(out, shm_worker(s, i)->redis_words, SHM_WORDS_MAX);
    out[SHM_WORDS_MAX - 1] = '\0';
    return out;
}

/* The highest value of a gauge, for gauges in which all workers count the same
   thing. */
#define MOST(s, name)                                                          \
    ({                                                                         \
        uint64_t most_ = 0;                                                    \
        for (unsigned i_ = 0; i_ < shm_slots(s); i_++) {                       \
            uint64_t v_ = stat_get(&shm_worker(s, i_)->stats.name);            \
            if (v_ > most_)                                                    \
                most_ = v_;                                                    \
        }                                                                      \
        most_;                                                                 \
    })

void
report_redis_problems(
    const struct shm *s, const struct config *c, report_say *say, void *ctx)
{
    char word[16], words[SHM_WORDS_MAX];

    if (!config_has_redis(c))
        return;
    for (unsigned i = 0; i < shm_slots(s); i++)
        if (shm_worker(s, i)->pid != 0 &&
            strcmp(word_of(s, i, word), "ready") != 0)
            say(ctx,
                "worker %u cannot use Redis: %s; charge points are served, and "
                "events wait in the journal",
                i, words_of(s, i, words));
    uint64_t lag = MOST(s, ship_lag_ms), most = MOST(s, stream_events);
    if (lag > LAG_MS)
        say(ctx, "events reach Redis %" PRIu64 " s late", lag / 1000);
    if (most >= config_stream_alarm(c))
        say(ctx,
            "a stream in Redis holds %" PRIu64
            " events that consumers have not "
            "acknowledged; above redis.stream_max = %" PRIu64
            " the oldest are cut",
            most, c->redis_stream_max);
}

/* The word of the worker with the worst state. */
static const char *
overall(const struct shm *s, char word[16])
{
    for (unsigned i = 0; i < shm_slots(s); i++)
        if (strcmp(word_of(s, i, word), "ready") != 0)
            return word;
    return "ready";
}

void
report_redis(struct writer *w, const struct shm *s, const struct config *c)
{
    char         word[16], words[SHM_WORDS_MAX];
    struct stats sum;

    if (!config_has_redis(c)) {
        writer_null(w, "redis");
        return;
    }
    shm_sum(s, &sum);
    writer_open(w, "redis", '{');
    writer_str(w, "status", overall(s, word));
    writer_u64(w, "lagMs", MOST(s, ship_lag_ms));
    writer_u64(w, "shipped", stat_get(&sum.shipped));
    writer_u64(w, "sessionsUnclaimed", stat_get(&sum.sessions_unclaimed));
    writer_u64(w, "outcomesWaiting", stat_get(&sum.outcomes_waiting));
    writer_u64(w, "platformWaiting", stat_get(&sum.platform_waiting));
    writer_u64(w, "commandsWaiting", MOST(s, orders_waiting));
    writer_u64(w, "streamEvents", MOST(s, stream_events));
    writer_u64(w, "streamMax", c->redis_stream_max);
    writer_open(w, "workers", '[');
    for (unsigned i = 0; i < shm_slots(s); i++) {
        const struct stats *st = &shm_worker(s, i)->stats;
        writer_open(w, NULL, '{');
        writer_u64(w, "worker", i);
        writer_str(w, "status", word_of(s, i, word));
        writer_str(w, "words", words_of(s, i, words));
        writer_u64(w, "shardsReady", stat_get(&st->redis_shards_ready));
        writer_u64(w, "pending", stat_get(&st->redis_pending));
        writer_u64(w, "lagMs", stat_get(&st->ship_lag_ms));
        writer_u64(w, "shipped", stat_get(&st->shipped));
        writer_close(w);
    }
    writer_close(w);
    writer_close(w);
}

void
report_redis_text(struct buf *out, const struct shm *s, const struct config *c)
{
    struct stats sum;
    char         word[16], words[SHM_WORDS_MAX];

    if (!config_has_redis(c)) {
        buf_adds(out,
            "this gateway does not use Redis: redis.host and redis.socket are "
            "empty\n");
        return;
    }
    shm_sum(s, &sum);
    if (c->redis_socket[0] != '\0')
        buf_addf(out, "redis at %s", c->redis_socket);
    else
        buf_addf(out, "redis at %s:%" PRIu64, c->redis_host, c->redis_port);
    buf_addf(out, ", fleet %s, %" PRIu64 " shards: %s\n", c->redis_prefix,
        c->redis_shards, overall(s, word));
    buf_addf(out, "  events       %" PRIu64 " shipped, %" PRIu64 " ms behind\n",
        stat_get(&sum.shipped), MOST(s, ship_lag_ms));
    buf_addf(out, "  stream       %" PRIu64 " events of at most %" PRIu64 "\n",
        MOST(s, stream_events), c->redis_stream_max);
    buf_addf(out,
        "  sessions     %" PRIu64 " of %" PRIu64
        " connections not claimed yet\n",
        stat_get(&sum.sessions_unclaimed), stat_get(&sum.connections));
    buf_addf(out,
        "  commands     %" PRIu64 " without outcome in the fleet, %" PRIu64
        " outcomes not reported yet\n",
        MOST(s, orders_waiting), stat_get(&sum.outcomes_waiting));
    buf_addf(out, "  platform     %" PRIu64 " CALLs wait for its answer\n",
        stat_get(&sum.platform_waiting));
    buf_adds(out, "\nworker  state       shards  pending  lag ms  status\n");
    for (unsigned i = 0; i < shm_slots(s); i++) {
        const struct stats *st = &shm_worker(s, i)->stats;
        buf_addf(out,
            "%6u  %-10s  %6" PRIu64 "  %7" PRIu64 "  %6" PRIu64 "  %s\n", i,
            word_of(s, i, word), stat_get(&st->redis_shards_ready),
            stat_get(&st->redis_pending), stat_get(&st->ship_lag_ms),
            words_of(s, i, words));
    }
}
