/* tally: the counts of the fleet. See tally.h. */
#include "tally.h"

#include <inttypes.h>

#include "common/writer.h"

void
tally_merge(struct tally *into, const struct tally *from)
{
#define MERGE(name, text) tally_add(into, name, tally_get(from, name));
    TALLY_COUNTS(MERGE)
    TALLY_ERRORS(MERGE)
    uint64_t storm = tally_get(into, storm_us);
    TALLY_GAUGES(MERGE)
#undef MERGE
    if (tally_get(from, storm_us) > storm)
        storm = tally_get(from, storm_us);
    tally_set(into, storm_us, storm);
    histogram_merge(&into->latency, &from->latency);
    histogram_merge(&into->connect, &from->connect);
    histogram_merge(&into->lag, &from->lag);
}

uint64_t
tally_errors(const struct tally *t)
{
    uint64_t sum = 0;

#define SUM(name, text) sum += tally_get(t, name);
    TALLY_ERRORS(SUM)
#undef SUM
    return sum;
}

static double
per_second(uint64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

static void
text_line(struct buf *out, const char *text, uint64_t n)
{
    if (n > 0)
        buf_addf(out, "  %12" PRIu64 "  %s\n", n, text);
}

static void
text_times(struct buf *out, const char *what, const struct histogram *h)
{
    uint64_t n = atomic_load_explicit(&h->count, memory_order_relaxed);

    if (n == 0)
        return;
    buf_addf(out,
        "%-8s ms  p50 %.2f  p90 %.2f  p99 %.2f  p99.9 %.2f  max %.2f  "
        "(%" PRIu64 ")\n",
        what, (double)histogram_at(h, 0.5) / 1e3,
        (double)histogram_at(h, 0.9) / 1e3, (double)histogram_at(h, 0.99) / 1e3,
        (double)histogram_at(h, 0.999) / 1e3, (double)histogram_at(h, 1) / 1e3,
        n);
}

void
tally_text(struct buf *out, const struct tally *t, const struct tally_run *run)
{
    uint64_t points = tally_get(t, points);

    buf_addf(out,
        "seed %" PRIu64 ", %" PRIu64 " charge points in %u "
        "processes\n",
        run->seed, points, run->processes);
    buf_addf(out,
        "ramp %.2f s; load %.2f s: %.0f CALLs/s sent, %.0f "
        "answers/s\n",
        run->ramp_s, run->run_s, per_second(run->run_sent, run->run_s),
        per_second(run->run_answered, run->run_s));
    text_times(out, "latency", &t->latency);
    text_times(out, "connect", &t->connect);
    text_times(out, "lag", &t->lag);
    buf_addf(out, "CPU %.2f s; %.0f bytes of memory per charge point\n",
        run->cpu_s,
        points ? (double)tally_get(t, memory) / (double)points : 0.0);
    if (tally_get(t, storm_us) > 0)
        buf_addf(out, "storm: all back after %.2f s\n",
            (double)tally_get(t, storm_us) / 1e6);
    buf_adds(out, "counts\n");
#define LINE(name, text) text_line(out, text, tally_get(t, name));
    TALLY_COUNTS(LINE)
    if (tally_errors(t) > 0) {
        buf_adds(out, "errors\n");
        TALLY_ERRORS(LINE)
    } else {
        buf_adds(out, "no errors\n");
    }
#undef LINE
    if (run->txids_full)
        buf_adds(out,
            "(not all transaction ids could be compared: "
            "use ocppsim verify)\n");
}

static void
json_times(struct writer *w, const char *key, const struct histogram *h)
{
    uint64_t n = atomic_load_explicit(&h->count, memory_order_relaxed);
    uint64_t sum = atomic_load_explicit(&h->sum, memory_order_relaxed);

    writer_open(w, key, '{');
    writer_u64(w, "count", n);
    writer_u64(w, "mean", n ? sum / n : 0);
    writer_u64(w, "p50", histogram_at(h, 0.5));
    writer_u64(w, "p90", histogram_at(h, 0.9));
    writer_u64(w, "p99", histogram_at(h, 0.99));
    writer_u64(w, "p99.9", histogram_at(h, 0.999));
    writer_u64(w, "max", histogram_at(h, 1));
    writer_close(w);
}

void
tally_json(struct buf *out, const struct tally *t, const struct tally_run *run)
{
    struct writer w = WRITER_INIT(out);

    writer_open(&w, NULL, '{');
    writer_bool(&w, "ok", tally_errors(t) == 0);
    writer_u64(&w, "seed", run->seed);
    writer_u64(&w, "processes", run->processes);
    writer_f64(&w, "ramp_s", run->ramp_s);
    writer_f64(&w, "run_s", run->run_s);
    writer_f64(&w, "sent_per_s", per_second(run->run_sent, run->run_s));
    writer_f64(&w, "answered_per_s", per_second(run->run_answered, run->run_s));
    writer_f64(&w, "cpu_s", run->cpu_s);
#define MEMBER(name, text) writer_u64(&w, #name, tally_get(t, name));
    TALLY_GAUGES(MEMBER)
    writer_open(&w, "counts", '{');
    TALLY_COUNTS(MEMBER)
    writer_close(&w);
    writer_open(&w, "errors", '{');
    TALLY_ERRORS(MEMBER)
    writer_close(&w);
#undef MEMBER
    json_times(&w, "latency_us", &t->latency);
    json_times(&w, "connect_us", &t->connect);
    json_times(&w, "lag_us", &t->lag);
    writer_bool(&w, "all_transaction_ids_compared", !run->txids_full);
    writer_close(&w);
    buf_addc(out, '\n');
}
