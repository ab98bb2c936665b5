/*
 * stats: what is counted, from stats.def.
 *
 * Each worker has one struct stats in shared memory and is its only writer;
 * any process may read it. All are relaxed atomics: a reader may see two
 * numbers of different moments, never a torn one. Counters and histograms
 * outlive the worker (its successor counts on); gauges are zeroed by the master
 * when the worker is dead.
 */
#ifndef COMMON_STATS_H
#define COMMON_STATS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "close.h"
#include "deviation.h"
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
    int         exit_code; /* ocppctl's */
    const char *sentence;
};

extern const struct outcome_info outcome_info[OUTCOMES];

/* The OCPP actions of all versions, in the order of the schema files. */
enum action {
#define ACTION(name, direction, profile, event) ACTION_##name,
#include "ocpp_actions.def"
#undef ACTION
    ACTIONS
};

extern const char *const action_names[ACTIONS];

extern const char *const deviation_names[DEVIATIONS];

/* Rows of the tables a COUNTER_BY may name, and their words. */
enum {
    STATS_ROWS_REFUSE = REFUSE_REASONS,
    STATS_ROWS_CLOSE = CLOSE_REASONS,
    STATS_ROWS_ACTION = ACTIONS,
    STATS_ROWS_DEVIATION = DEVIATIONS,
    STATS_ROWS_OUTCOME = OUTCOMES,
    STATS_ROWS_TLS_SUITE = TLS_SUITES,
    STATS_ROWS_TLS_REASON = TLS_REASONS
};

/* Bucket i counts durations below 2^i microseconds (and not below
 * 2^(i-1)); the last one counts the rest, from 16.8 s on. */
#define STATS_BUCKETS 26

struct histogram {
    stat_value bucket[STATS_BUCKETS];
    stat_value sum_us;
};

struct stats {
#define COUNTER(name, doc) stat_value name;
#define COUNTER_BY(name, label, TABLE, doc) stat_value name[STATS_ROWS_##TABLE];
#define GAUGE(name, doc) stat_value name;
#define HISTOGRAM(name, doc) struct histogram name;
#include "stats.def"
#undef COUNTER
#undef COUNTER_BY
#undef GAUGE
#undef HISTOGRAM
};

/* A single writer needs no locked instruction. */
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

void histogram_add(struct histogram *h, uint64_t us);
/* Upper bound in microseconds of the bucket that holds quantile q (0..1);
 * 0 if the histogram is empty. counts: STATS_BUCKETS numbers. */
uint64_t histogram_quantile(const uint64_t *counts, double q);

/* A time as people read it: 17us, 1.2ms, 3.4s. */
void histogram_put_us(struct buf *out, uint64_t us);

enum stat_kind { STAT_COUNTER, STAT_GAUGE, STAT_HISTOGRAM };

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

/* Adds every value of from into sum (both complete structs). */
void stats_sum(struct stats *sum, const struct stats *from);
void stats_zero_gauges(struct stats *st);

#endif
