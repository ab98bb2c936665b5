/* stats: the counters, gauges and histograms of stats.def. See stats.h. */
#include "stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct outcome_info outcome_info[OUTCOMES] = {
#define OUTCOME(word, exit_code, sentence) {#word, exit_code, sentence},
#include "outcome.def"
#undef OUTCOME
};

enum outcome
outcome_by_word(const char *word)
{
    for (unsigned i = 0; i < OUTCOMES; i++)
        if (strcmp(outcome_info[i].word, word) == 0)
            return (enum outcome)i;
    return OUTCOME_uncertain;
}

const char *const action_names[ACTIONS] = {
#define ACTION(name, direction, profile, event) #name,
#include "ocpp_actions.def"
#undef ACTION
};

const char *const deviation_sentences[DEVIATIONS] = {
#define DEVIATION(word, sentence) sentence,
#include "deviation.def"
#undef DEVIATION
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
row_CALL_ERROR(unsigned i)
{
    static const char *const words[] = {
#define CALL_ERROR(WORD, v16, v2x) v2x,
#include "call_error.def"
#undef CALL_ERROR
        "other"};

    return words[i];
}
const char *
stats_version(unsigned i)
{
    static const char *const words[] = {
#define DIALECT(symbol, name) name,
#include "ocpp_dialects.def"
#undef DIALECT
    };

    return words[i];
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
static const char *
row_TLS_ALERT(unsigned i)
{
    return tls_alert_word((enum tls_alert)i);
}

#define row_VERSION stats_version
const struct stat_info stat_info[] = {
#define COUNTER(name, doc)                                                     \
    {#name, STAT_COUNTER, NULL, NULL, 1, offsetof(struct stats, name), doc},
#define COUNTER_BY(name, label, TABLE, doc)                                    \
    {#name, STAT_COUNTER, #label, row_##TABLE, STATS_ROWS_##TABLE,             \
        offsetof(struct stats, name), doc},
#define GAUGE(name, doc)                                                       \
    {#name, STAT_GAUGE, NULL, NULL, 1, offsetof(struct stats, name), doc},
#define GAUGE_BY(name, label, TABLE, doc)                                      \
    {#name, STAT_GAUGE, #label, row_##TABLE, STATS_ROWS_##TABLE,               \
        offsetof(struct stats, name), doc},
#define GAUGE_MAX(name, doc)                                                   \
    {#name, STAT_GAUGE_MAX, NULL, NULL, 1, offsetof(struct stats, name), doc},
#define HISTOGRAM(name, doc)                                                   \
    {#name, STAT_HISTOGRAM, NULL, NULL, 1, offsetof(struct stats, name), doc},
#include "stats.def"
};

const size_t stat_info_count = sizeof stat_info / sizeof stat_info[0];

bool
stat_metric(const struct stat_info *info, char out[STAT_METRIC_LEN])
{
    static const struct {
        size_t      offset;
        const char *name;
    } others[] = {
#define METRIC(stat, name) {offsetof(struct stats, stat), #name},
#include "stats.def"
    };
    static const char *const suffix[] = {[STAT_COUNTER] = "_total",
        [STAT_GAUGE] = "",
        [STAT_GAUGE_MAX] = "",
        [STAT_HISTOGRAM] = "_seconds"};
    const char              *name = info->name;

    /* Its sum equals that of call_errors_sent. */
    if (info->offset == offsetof(struct stats, call_errors_out))
        return false;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (others[i].offset == info->offset)
            name = others[i].name;
    snprintf(out, STAT_METRIC_LEN, "%s%s", name, suffix[info->kind]);
    return true;
}

/* Us: 1, 2.5 and 5 times each power of ten where that is of use, and more
 * between 50 and 500. */
const uint32_t histogram_bounds[STATS_BOUNDS] = {10, 25, 50, 75, 100, 150, 200,
    250, 350, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
    500000, 1000000, 5000000, 10000000, 30000000, 60000000};

void
histogram_add(struct histogram *h, uint64_t us)
{
    unsigned i = us <= 500 ? 0 : 10;

    while (i < STATS_BOUNDS && us > histogram_bounds[i])
        i++;
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
            return i < STATS_BOUNDS
                ? histogram_bounds[i]
                : 2 * (uint64_t)histogram_bounds[STATS_BOUNDS - 1];
    }
    return 0;
}

void
stats_sum(struct stats *sum, const struct stats *from)
{
    for (size_t k = 0; k < stat_info_count; k++) {
        const struct stat_info *info = &stat_info[k];
        size_t                  n = info->kind == STAT_HISTOGRAM
                             ? sizeof(struct histogram) / sizeof(stat_value)
                             : info->rows;
        stat_value             *to = (stat_value *)((char *)sum + info->offset);
        const stat_value       *v =
            (const stat_value *)((const char *)from + info->offset);
        for (size_t i = 0; i < n; i++) {
            uint64_t one = stat_get(&v[i]);
            if (info->kind != STAT_GAUGE_MAX)
                stat_add(&to[i], one);
            else if (one > stat_get(&to[i]))
                stat_set(&to[i], one);
        }
    }
}

void
stats_zero_gauges(struct stats *st)
{
    for (size_t i = 0; i < stat_info_count; i++) {
        const struct stat_info *k = &stat_info[i];
        if (k->kind != STAT_GAUGE && k->kind != STAT_GAUGE_MAX)
            continue;
        stat_value *v = (stat_value *)((char *)st + k->offset);
        for (unsigned r = 0; r < k->rows; r++)
            stat_set(&v[r], 0);
    }
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

static const stat_value *
value_of(const struct stats *st, const struct stat_info *k)
{
    return (const stat_value *)((const char *)st + k->offset);
}

static void
write_row(const struct stat_info *k, unsigned row, uint64_t n, struct buf *out)
{
    if (n == 0)
        return;
    fields_begin(out, "counter");
    fields_put_str(out, "name", k->name);
    if (k->label != NULL)
        fields_put_str(out, "row", k->row_name(row));
    fields_put_u64(out, "n", n);
    fields_end(out);
}

static void
write_histogram(
    const struct stat_info *k, const struct histogram *h, struct buf *out)
{
    uint64_t bucket[STATS_BUCKETS];

    for (unsigned i = 0; i < STATS_BUCKETS; i++)
        bucket[i] = stat_get(&h->bucket[i]);
    fields_begin(out, "histogram");
    fields_put_str(out, "name", k->name);
    fields_put_list(out, "buckets", bucket, STATS_BUCKETS);
    fields_put_u64(out, "sum_us", stat_get(&h->sum_us));
    fields_end(out);
}

void
stats_write(const struct stats *st, struct buf *out)
{
    for (size_t i = 0; i < stat_info_count; i++) {
        const struct stat_info *k = &stat_info[i];
        const stat_value       *v = value_of(st, k);
        if (k->kind == STAT_HISTOGRAM)
            write_histogram(k, (const struct histogram *)v, out);
        for (unsigned r = 0; k->kind == STAT_COUNTER && r < k->rows; r++)
            write_row(k, r, stat_get(&v[r]), out);
    }
}

static const struct stat_info *
info_of(const char *name, enum stat_kind kind)
{
    for (size_t i = 0; i < stat_info_count; i++)
        if (stat_info[i].kind == kind && strcmp(stat_info[i].name, name) == 0)
            return &stat_info[i];
    return NULL;
}

static void
read_counter(struct stats *st, struct fields *f)
{
    const struct stat_info *k =
        info_of(fields_str(f, "name", 64), STAT_COUNTER);
    const char *row = fields_str(f, "row", 64);

    if (k == NULL || (k->label == NULL) != (row[0] == '\0'))
        return;
    for (unsigned r = 0; r < k->rows; r++)
        if (k->label == NULL || strcmp(k->row_name(r), row) == 0) {
            stat_add((stat_value *)value_of(st, k) + r,
                fields_u64(f, "n", 0, UINT64_MAX));
            return;
        }
}

static void
read_histogram(struct stats *st, struct fields *f)
{
    const struct stat_info *k =
        info_of(fields_str(f, "name", 64), STAT_HISTOGRAM);
    uint64_t bucket[STATS_BUCKETS];

    if (k == NULL || !fields_list(f, "buckets", bucket, STATS_BUCKETS))
        return;
    struct histogram *h = (struct histogram *)value_of(st, k);
    for (unsigned i = 0; i < STATS_BUCKETS; i++)
        stat_add(&h->bucket[i], bucket[i]);
    stat_add(&h->sum_us, fields_u64(f, "sum_us", 0, UINT64_MAX));
}

bool
stats_read(struct stats *st, struct fields *f)
{
    if (strcmp(f->word, "counter") == 0)
        read_counter(st, f);
    else if (strcmp(f->word, "histogram") == 0)
        read_histogram(st, f);
    else
        return false;
    return true;
}
