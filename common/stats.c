/* stats: what is counted, from stats.def. See stats.h. */
#include "stats.h"

#include <inttypes.h>

const struct outcome_info outcome_info[OUTCOMES] = {
#define OUTCOME(word, exit_code, sentence) {#word, exit_code, sentence},
#include "outcome.def"
#undef OUTCOME
};

const char *const action_names[ACTIONS] = {
#define ACTION(name, direction, profile, event) #name,
#include "ocpp_actions.def"
#undef ACTION
};

const char *const deviation_names[DEVIATIONS] = {
#define DEVIATION(word, sentence) #word,
#include "deviation.def"
#undef DEVIATION
};

static const char *
row_REFUSE(unsigned i)
{
    return refuse_info[i].word;
}
static const char *
row_CLOSE(unsigned i)
{
    return close_info[i].word;
}
static const char *
row_ACTION(unsigned i)
{
    return action_names[i];
}
static const char *
row_DEVIATION(unsigned i)
{
    return deviation_names[i];
}
static const char *
row_OUTCOME(unsigned i)
{
    return outcome_info[i].word;
}

static const char *
row_TLS_SUITE(unsigned i)
{
    return tls_suite_name((enum tls_suite)i);
}
static const char *
row_TLS_REASON(unsigned i)
{
    return tls_reason_word((enum tls_reason)i);
}

const struct stat_info stat_info[] = {
#define COUNTER(name, doc)                                                     \
    {#name, STAT_COUNTER, NULL, NULL, 1, offsetof(struct stats, name), doc},
#define COUNTER_BY(name, label, TABLE, doc)                                    \
    {#name, STAT_COUNTER, #label, row_##TABLE, STATS_ROWS_##TABLE,             \
        offsetof(struct stats, name), doc},
#define GAUGE(name, doc)                                                       \
    {#name, STAT_GAUGE, NULL, NULL, 1, offsetof(struct stats, name), doc},
#define HISTOGRAM(name, doc)                                                   \
    {#name, STAT_HISTOGRAM, NULL, NULL, 1, offsetof(struct stats, name), doc},
#include "stats.def"
#undef COUNTER
#undef COUNTER_BY
#undef GAUGE
#undef HISTOGRAM
};

const size_t stat_info_count = sizeof stat_info / sizeof stat_info[0];

void
histogram_add(struct histogram *h, uint64_t us)
{
    unsigned i = us == 0 ? 0 : 64 - (unsigned)__builtin_clzll(us);

    if (i >= STATS_BUCKETS)
        i = STATS_BUCKETS - 1;
    stat_add(&h->bucket[i], 1);
    stat_add(&h->sum_us, us);
}

uint64_t
histogram_quantile(const uint64_t *counts, double q)
{
    uint64_t total = 0, seen = 0;

    for (int i = 0; i < STATS_BUCKETS; i++)
        total += counts[i];
    for (int i = 0; i < STATS_BUCKETS; i++) {
        seen += counts[i];
        if (seen > 0 && (double)seen >= q * (double)total)
            return UINT64_C(1) << i;
    }
    return 0;
}

void
stats_sum(struct stats *sum, const struct stats *from)
{
    /* struct stats is nothing but stat_value. */
    stat_value       *to = (stat_value *)sum;
    const stat_value *v = (const stat_value *)from;

    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        stat_add(&to[i], stat_get(&v[i]));
}

void
stats_zero_gauges(struct stats *st)
{
    for (size_t i = 0; i < stat_info_count; i++)
        if (stat_info[i].kind == STAT_GAUGE)
            stat_set((stat_value *)((char *)st + stat_info[i].offset), 0);
}

void
histogram_put_us(struct buf *out, uint64_t us)
{
    if (us < 1000)
        buf_addf(out, "%" PRIu64 "us", us);
    else if (us < 1000000)
        buf_addf(out, "%.3gms", (double)us / 1e3);
    else
        buf_addf(out, "%.3gs", (double)us / 1e6);
}
