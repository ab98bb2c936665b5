/* view: the screen of `ocppctl top`. See ctl/view.h. */
#include "ctl/view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ctl/points.h"
#include "ctl/screen.h"
#include "shm.h"

const char *const view_sort_name[VIEW_SORTS] = {
    "rate", "messages", "since", "identity"};

/* --- numbers as people read them ----------------------------------------- */

/* From one time in ms to another one; 1 if they are equal. */
static double
seconds_between(uint64_t a, uint64_t b)
{
    return b > a ? (double)(b - a) / 1000.0 : 1.0;
}

static void
put_rate(struct buf *out, double rate)
{
    if (rate > 0 && rate < 99.95)
        buf_addf(out, "%.1f", rate);
    else
        buf_addf(out, "%.0f", rate);
}

static void
put_bytes(struct buf *out, double n)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int                      unit = 0;

    for (; n >= 1024 && unit < 4; unit++)
        n /= 1024;
    buf_addf(
        out, unit > 0 && n < 99.95 ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

/* --- numbers of the whole gateway ---------------------------------------- */

#define RATE(v, name)                                                          \
    sample_rate(stat_get(&(v)->before->stats.name),                            \
        stat_get(&(v)->now->stats.name),                                       \
        seconds_between((v)->before->at_ms, (v)->now->at_ms))
#define GAUGE_NOW(v, name) stat_get(&(v)->now->stats.name)

static double
rows_rate(const struct view *v, const stat_value *before, const stat_value *now,
    unsigned n)
{
    uint64_t a = 0, b = 0;

    for (unsigned i = 0; i < n; i++) {
        a += stat_get(&before[i]);
        b += stat_get(&now[i]);
    }
    return sample_rate(a, b, seconds_between(v->before->at_ms, v->now->at_ms));
}

/* Writes latencies since v->past, as upper bounds; only the last two if
 * `brief`. */
static void
put_latency(struct buf *out, const struct view *v, const struct histogram *was,
    const struct histogram *is, bool brief)
{
    static const struct {
        const char *name;
        double      q;
    } wanted[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}};
    uint64_t counts[STATS_BUCKETS], total = 0;

    for (int i = 0; i < STATS_BUCKETS; i++) {
        uint64_t a = stat_get(&was->bucket[i]), b = stat_get(&is->bucket[i]);
        counts[i] = b > a ? b - a : 0;
        total += counts[i];
    }
    if (total == 0) {
        buf_addf(out, "none in %.0f s",
            seconds_between(v->past->at_ms, v->now->at_ms));
        return;
    }
    for (int i = brief ? 2 : 0; i < 4; i++) {
        buf_addf(out, "%s <", wanted[i].name);
        histogram_put_us(out, histogram_quantile(counts, wanted[i].q));
        buf_adds(out, i < 3 ? "  " : "");
    }
    if (!brief)
        buf_addf(out, "  of %" PRIu64, total);
}

static void
put_word(struct buf *out, const char *word, double rate)
{
    buf_addf(out, "  %s%s", word, word[0] ? " " : "");
    put_rate(out, rate);
}

static void
head_line(struct buf *out, const struct view *v)
{
    const struct sample *s = v->now;
    char                 time[CLOCK_RFC3339_LEN + 1];

    clock_rfc3339(time, s->wall_ms);
    buf_addf(out, "\1ocppd %s on %s: %s%s  up %s  %.8sZ  every %.3g s\n",
        s->version, s->node, s->health, s->draining ? ", draining" : "",
        s->uptime, time + 11, seconds_between(v->before->at_ms, v->now->at_ms));
    if (s->problems > 0) {
        buf_addf(out, "\2problem      ");
        screen_put(out, s->problem, (unsigned)strlen(s->problem));
        if (s->problems > 1)
            buf_addf(out, " (and %u more)", s->problems - 1);
        buf_addc(out, '\n');
    }
}

static void
traffic_lines(struct buf *out, const struct view *v)
{
    const struct sample *a = v->before, *b = v->now;

    buf_addf(out,
        "connections  %" PRIu64 " of %" PRIu64 "  handshaking %" PRIu64
        "  closing %" PRIu64 "  identities %" PRIu64 " of %" PRIu64 "\n",
        GAUGE_NOW(v, connections), b->connections_max,
        GAUGE_NOW(v, handshaking), GAUGE_NOW(v, closing), b->identities,
        b->identities_max);
    buf_adds(out, "versions   ");
    for (unsigned i = 0; i < STATS_VERSIONS; i++)
        buf_addf(out, "  %s %" PRIu64, stats_version(i),
            GAUGE_NOW(v, connections_by_version[i]));
    buf_addf(out, "  charging %" PRIu64 "\n", GAUGE_NOW(v, charging));
    buf_adds(out, "per second ");
    put_word(out, "accepts", RATE(v, accepted));
    put_word(out, "refused",
        rows_rate(v, a->stats.refused, b->stats.refused, REFUSE_REASONS));
    put_word(out, "closed",
        rows_rate(v, a->stats.closed, b->stats.closed, CLOSE_REASONS));
    put_word(out, "takeovers", RATE(v, takeovers));
    put_word(out, "errors",
        rows_rate(v, a->stats.call_errors_sent, b->stats.call_errors_sent,
            STATS_ROWS_CALL_ERROR) +
            RATE(v, bad_messages));
    buf_adds(out, "\n           ");
    put_word(out, "in", RATE(v, messages_in));
    put_word(out, "out", RATE(v, messages_out));
    put_word(out, "events", RATE(v, events));
    put_word(out, "commands",
        rows_rate(v, a->stats.commands, b->stats.commands, OUTCOMES));
    buf_adds(out, "  ");
    put_bytes(out, RATE(v, bytes_in));
    buf_adds(out, " in  ");
    put_bytes(out, RATE(v, bytes_out));
    buf_adds(out, " out\n");
}

static void
latency_lines(struct buf *out, const struct view *v)
{
    const struct stats *a = &v->past->stats, *b = &v->now->stats;

    buf_adds(out, "answers      ");
    put_latency(out, v, &a->answer_time, &b->answer_time, false);
    buf_adds(out, "\ncommands     ");
    put_latency(out, v, &a->command_time, &b->command_time, false);
    buf_addf(out, "  pending %" PRIu64 "\n", GAUGE_NOW(v, commands_pending));
}

static void
service_lines(struct buf *out, const struct view *v)
{
    const struct sample *s = v->now;
    const struct stats  *a = &v->past->stats, *b = &s->stats;

    buf_adds(out, "pings      ");
    put_word(out, "", RATE(v, pings));
    if (s->ping_interval_s > 0) {
        buf_adds(out, " of ");
        put_rate(out,
            (double)GAUGE_NOW(v, connections) / (double)s->ping_interval_s);
    }
    buf_addf(out, "/s  skipped %" PRIu64, stat_get(&b->pings_skipped));
    put_word(out, "pongs", RATE(v, pongs));
    buf_adds(out, "/s  ");
    put_latency(out, v, &a->ping_time, &b->ping_time, true);
    buf_addf(out, "\n%sjournal      %s  waiting ",
        s->journal_failing ? "\2" : "", s->journal_failing ? "FAILING" : "ok");
    put_bytes(out, (double)GAUGE_NOW(v, journal_backlog_bytes));
    buf_addf(out, "  held %" PRIu64, GAUGE_NOW(v, answers_held));
    put_word(out, "commits", RATE(v, commits));
    buf_adds(out, "/s  ");
    put_latency(out, v, &a->commit_time, &b->commit_time, true);
    buf_addc(out, '\n');
    /* Without [redis] no connection was ever tried. */
    if (stat_get(&b->redis_connects) + stat_get(&b->redis_failures) +
            stat_get(&b->redis_shards_ready) ==
        0)
        return;
    buf_addf(out,
        "redis        ready %" PRIu64 "  behind %" PRIu64 " ms  asked %" PRIu64,
        GAUGE_NOW(v, redis_shards_ready), GAUGE_NOW(v, ship_lag_ms),
        GAUGE_NOW(v, redis_pending));
    put_word(out, "shipped", RATE(v, shipped));
    buf_adds(out, "/s  ");
    put_latency(out, v, &a->redis_time, &b->redis_time, true);
    buf_addc(out, '\n');
}

/* --- workers ------------------------------------------------------------- */

static const struct sample_worker *
worker_before(const struct view *v, const struct sample_worker *w)
{
    for (size_t i = 0; i < v->before->workers; i++)
        if (v->before->worker[i].slot == w->slot)
            return &v->before->worker[i];
    return w;
}

static double
worker_rate(const struct view *v, const struct sample_worker *w)
{
    return sample_rate(worker_before(v, w)->messages_in, w->messages_in,
        seconds_between(v->before->workers_ms, v->now->workers_ms));
}

static bool
worker_sick(const struct sample_worker *w)
{
    return strcmp(w->state, "ready") != 0 || w->journal_failing ||
        w->silent_ms > SHM_STALE_MS;
}

static const struct view *sorting; /* for qsort(3), which passes no context */

/* The order in which workers are shown if there is no room for all: those with
 * problems first, then the busiest. */
static int
by_need(const void *a, const void *b)
{
    const struct sample_worker *x = *(const struct sample_worker *const *)a;
    const struct sample_worker *y = *(const struct sample_worker *const *)b;
    double p = worker_rate(sorting, x), q = worker_rate(sorting, y);

    if (worker_sick(x) != worker_sick(y))
        return worker_sick(x) ? -1 : 1;
    if (p != q)
        return p < q ? 1 : -1;
    return (x->slot > y->slot) - (x->slot < y->slot);
}

static int
by_slot(const void *a, const void *b)
{
    const struct sample_worker *x = *(const struct sample_worker *const *)a;
    const struct sample_worker *y = *(const struct sample_worker *const *)b;

    return (x->slot > y->slot) - (x->slot < y->slot);
}

static void
worker_line(
    struct buf *out, const struct view *v, const struct sample_worker *w)
{
    const struct sample_worker *was = worker_before(v, w);
    double s = seconds_between(v->before->workers_ms, v->now->workers_ms);
    char   note[128] = "";

    if (w->silent_ms > SHM_STALE_MS && w->pid != 0)
        snprintf(note, sizeof note, "no progress for %" PRIu64 " s",
            w->silent_ms / 1000);
    else if (w->journal_failing)
        snprintf(note, sizeof note, "the journal cannot be written");
    else
        snprintf(note, sizeof note, "%s", w->words);
    buf_addf(out, "%s%6u  %-8s  %7d  %6u  %11" PRIu64 "  %9.1f  %9.1f  %9.1f  ",
        worker_sick(w) ? "\2" : "", w->slot, w->state, w->pid, w->starts,
        w->connections, sample_rate(was->messages_in, w->messages_in, s),
        sample_rate(was->messages_out, w->messages_out, s),
        sample_rate(was->events, w->events, s));
    screen_put(out, note, (unsigned)strlen(note));
    buf_addc(out, '\n');
}

/* Writes at most `room` lines; room is at least 3. */
static void
worker_lines(struct buf *out, const struct view *v, size_t room)
{
    /* The pointers are sorted. NOLINTBEGIN(bugprone-sizeof-expression)
     */
    size_t                       n = v->now->workers, shown = n;
    const struct sample_worker **order = calloc(n + 1, sizeof *order);

    if (order == NULL)
        return;
    buf_adds(out,
        "\1WORKER  STATE         PID  STARTS  CONNECTIONS       IN/S"
        "      OUT/S   EVENTS/S\n");
    for (size_t i = 0; i < n; i++)
        order[i] = &v->now->worker[i];
    if (n + 1 > room) {
        sorting = v;
        qsort(order, n, sizeof *order, by_need);
        shown = room - 2;
    }
    qsort(order, shown, sizeof *order, by_slot);
    /* NOLINTEND(bugprone-sizeof-expression) */
    for (size_t i = 0; i < shown; i++)
        worker_line(out, v, order[i]);
    if (shown < n)
        buf_addf(out, "%6s  and %zu less busy ones\n", "", n - shown);
    free(order);
}

/* --- all ----------------------------------------------------------------- */

static size_t
lines_of(const struct buf *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->len; i++)
        n += b->p[i] == '\n';
    return n;
}

void
view_draw(const struct view *v, struct buf *out)
{
    size_t rows = v->rows > 0 ? v->rows : 10000, used;
    size_t foot = v->foot != NULL;

    head_line(out, v);
    traffic_lines(out, v);
    latency_lines(out, v);
    service_lines(out, v);
    used = lines_of(out) + foot;
    if (used + 3 <= rows) {
        size_t room = (rows - used) / 3;
        worker_lines(out, v, room < 3 ? 3 : room);
    }
    used = lines_of(out) + foot;
    if (used + 2 <= rows) {
        size_t room = v->rows > 0 ? rows - used : 22;
        size_t half = v->lists == VIEW_BOTH ? (room + 1) / 2 : room;
        if (v->lists != VIEW_SICKEST)
            points_draw(v, false, half, out);
        used = lines_of(out) + foot;
        room = v->rows == 0 ? 11 : rows > used ? rows - used : 0;
        if (v->lists != VIEW_BUSIEST)
            points_draw(v, true, room, out);
    }
    if (!foot)
        return;
    /* The foot is the last row of the screen. */
    for (used = lines_of(out); v->rows > 0 && used + 1 < rows; used++)
        buf_addc(out, '\n');
    if (v->foot_marked)
        buf_addc(out, '\2');
    buf_adds(out, v->foot);
}
