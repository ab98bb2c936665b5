/*
 * stats: the counters, gauges and histograms of stats.def.
 *
 * Each worker has one struct stats in shared memory and is its only writer; any
 * process may read it. All are relaxed atomics: a reader may see two numbers of
 * different moments, never a torn one. Counters and histograms outlive the
 * worker, and its successor continues them. The master sets gauges to zero when
 * the worker has died.
 */
#ifndef COMMON_STATS_H
#define COMMON_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "close.h"
#include "deviation.h"
#include "fields.h"
#include "tls_reason.h"
#include "tls_suite.h"

typedef _Atomic uint64_t stat_value;

enum outcome {
#define OUTCOME(word, exit_code, sentence) OUTCOME_##word,
#include "outcome.def"
#undef OUTCOME
    OUTCOMES
};

struct outcome_info {
    const char *word;
    int         exit_code; /* exit code of ocppctl */
    const char *sentence;
};

extern const struct outcome_info outcome_info[OUTCOMES];

/* The outcome with this word; OUTCOME_uncertain if the word is unknown. */
enum outcome outcome_by_word(const char *word);

/* The OCPP actions of all versions, in the order of the schema files. */
enum action {
#define ACTION(name, direction, profile, event) ACTION_##name,
#include "ocpp_actions.def"
#undef ACTION
    ACTIONS
};

extern const char *const action_names[ACTIONS];

extern const char *const deviation_names[DEVIATIONS];
extern const char *const deviation_sentences[DEVIATIONS];

/* The versions of OCPP, in the order of the schemas. */
enum {
#define DIALECT(symbol, name) STATS_VERSION_##symbol,
#include "ocpp_dialects.def"
#undef DIALECT
    STATS_VERSIONS
};
/* The name of a version, such as "ocpp1.6". */
const char *stats_version(unsigned i);

/* Error codes of CALLERROR, as OCPP 2 spells them; the last row counts codes
 * that are not in the table. The rows are those of enum ocppj_error. */
enum {
#define CALL_ERROR(WORD, v16, v2x) CALL_ERROR_ROW_##WORD,
#include "call_error.def"
#undef CALL_ERROR
    CALL_ERRORS_KNOWN
};

/* The number of rows of the tables that a COUNTER_BY may name, and the words of
   the rows. */
enum {
    STATS_ROWS_REFUSE = REFUSE_REASONS,
    STATS_ROWS_CLOSE = CLOSE_REASONS,
    STATS_ROWS_ACTION = ACTIONS,
    STATS_ROWS_DEVIATION = DEVIATIONS,
    STATS_ROWS_OUTCOME = OUTCOMES,
    STATS_ROWS_CALL_ERROR = CALL_ERRORS_KNOWN + 1,
    STATS_ROWS_VERSION = STATS_VERSIONS,
    STATS_ROWS_TLS_SUITE = TLS_SUITES,
    STATS_ROWS_TLS_REASON = TLS_REASONS,
    STATS_ROWS_TLS_ALERT = TLS_ALERTS
};

/* Bucket i counts durations of at most histogram_bounds[i] microseconds (and
 * above the bound before); the last one counts those above all bounds. */
#define STATS_BOUNDS 24
#define STATS_BUCKETS (STATS_BOUNDS + 1)
extern const uint32_t histogram_bounds[STATS_BOUNDS];
/* /metrics has every bucket down to this bound, in microseconds, and sums up
 * those below it. */
#define STATS_METRIC_FROM 500

struct histogram {
    stat_value bucket[STATS_BUCKETS];
    stat_value sum_us;
};

struct stats {
#define COUNTER(name, doc) stat_value name;
#define COUNTER_BY(name, label, TABLE, doc) stat_value name[STATS_ROWS_##TABLE];
#define GAUGE(name, doc) stat_value name;
#define GAUGE_BY(name, label, TABLE, doc) stat_value name[STATS_ROWS_##TABLE];
#define GAUGE_MAX(name, doc) stat_value name;
#define HISTOGRAM(name, doc) struct histogram name;
#include "stats.def"
};

/* There is only one writer, so no locked instruction is needed. */
static inline void
stat_add(stat_value *v, uint64_t n)
{
    atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n,
        memory_order_relaxed);
}

static inline void
stat_set(stat_value *v, uint64_t n)
{
    atomic_store_explicit(v, n, memory_order_relaxed);
}

static inline uint64_t
stat_get(const stat_value *v)
{
    return atomic_load_explicit((stat_value *)v, memory_order_relaxed);
}

#define STAT_ADD(st, name, n) stat_add(&(st)->name, (n))
#define STAT_INC(st, name) stat_add(&(st)->name, 1)
#define STAT_SUB(st, name, n) stat_add(&(st)->name, (uint64_t)0 - (n))
#define STAT_DEC(st, name) STAT_SUB(st, name, 1)
#define STAT_SET(st, name, n) stat_set(&(st)->name, (n))

/* Counts a duration in us. */
void histogram_add(struct histogram *h, uint64_t us);
/* Upper bound in microseconds of the bucket that holds quantile q (0..1), twice
 * the highest bound for the last bucket; 0 if the histogram is empty. counts:
 * STATS_BUCKETS numbers. */
uint64_t histogram_quantile(const uint64_t *counts, double q);

/* A time as people read it: 17us, 1.2ms, 3.4s. */
void histogram_put_us(struct buf *out, uint64_t us);

enum stat_kind { STAT_COUNTER, STAT_GAUGE, STAT_GAUGE_MAX, STAT_HISTOGRAM };

/* One row of stats.def, for printing. */
struct stat_info {
    const char    *name;
    enum stat_kind kind;
    const char    *label;                /* COUNTER_BY, else NULL */
    const char *(*row_name)(unsigned i); /* COUNTER_BY, else NULL */
    unsigned    rows;                    /* 1 without a label */
    size_t      offset;                  /* in struct stats */
    const char *doc;
};

extern const struct stat_info stat_info[];
extern const size_t           stat_info_count;

/* The row's name in /metrics, without ocppd_, with unit and _total: NUL
 * terminated, in out. False if the row is not exported there. */
#define STAT_METRIC_LEN 64
bool stat_metric(const struct stat_info *info, char out[STAT_METRIC_LEN]);

/* Adds every value of from to sum (both complete structs); for a GAUGE_MAX
 * takes the higher one. */
void stats_sum(struct stats *sum, const struct stats *from);
void stats_zero_gauges(struct stats *st);

/* stats_write() writes the counters and histograms that are not zero, as
 * records `counter` and `histogram`, by the names of stats.def and of the rows
 * of its tables. stats_read() adds one of them; false if the record is of
 * another kind. Names that this program does not have are ignored. */
void stats_write(const struct stats *st, struct buf *out);
bool stats_read(struct stats *st, struct fields *f);

#endif
