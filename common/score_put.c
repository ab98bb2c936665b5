/* score_put: writes a score as text, JSON and Prometheus. See score.h. */
#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "printable.h"
#include "score.h"
#include "stats.h"
#include "writer.h"

static double
days(const struct score_view *v)
{
    return v->until_ms > v->since_ms
        ? (double)(v->until_ms - v->since_ms) / 86400000.0
        : 1;
}

static uint64_t
sum(const uint32_t *v, size_t n)
{
    uint64_t all = 0;

    for (size_t i = 0; i < n; i++)
        all += v[i];
    return all;
}

static uint64_t
blamed_ends(const struct score_row *r)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < CLOSE_REASONS; i++)
        all += score_blames((enum close_reason)i) ? r->ends[i] : 0;
    return all;
}

static uint64_t
ping_ms(const struct score_row *r)
{
    return r->pings > 0 ? r->ping_sum_ms / r->pings : 0;
}

static const char *
name_of(const struct score_row *r, const struct score_view *v)
{
    return r->name[0] != '\0'  ? r->name
        : v->by == SCORE_POINT ? "(others)"
                               : "(no boot seen)";
}

/* --- text -------------------------------------------------------------------- */

static void
put_kinds(struct buf *out, const struct score_row *r, double per)
{
    const char *between = "          deviations: ";

    for (unsigned i = 0; i < DEVIATIONS; i++)
        if (r->deviations[i] > 0) {
            buf_addf(
                out, "%s%s %u", between, deviation_names[i], r->deviations[i]);
            between = ", ";
        }
    if (between[0] == ',')
        buf_addc(out, '\n');
    between = "          ended: ";
    for (unsigned i = 0; i < CLOSE_REASONS; i++)
        if (r->ends[i] > 0) {
            buf_addf(out, "%s%s %.3g a day", between, close_info[i].word,
                r->ends[i] / per);
            between = ", ";
        }
    if (between[0] == ',')
        buf_addc(out, '\n');
}

void
score_put_text(struct score *s, const struct score_view *v, struct buf *out)
{
    char                    from[CLOCK_RFC3339_LEN + 1];
    size_t                  n;
    const struct score_row *r = score_rows(s, v, &n);

    clock_rfc3339(from, v->since_ms);
    buf_addf(out, "%" PRIu64 " events of %u charge points since %s%s\n",
        score_events(s), score_points(s), from,
        v->partial ? ", as far as they were read in the time given" : "");
    if (n == 0)
        return;
    buf_addf(out, "%7s  %-28s %6s %8s %6s %6s %5s %7s %8s %7s %9s\n", "SCORE",
        score_by_name[v->by], "points", "events", "devs", "viols", "late",
        "missing", "ends/day", "ping", "clock");
    for (size_t i = 0; i < n && i < v->worst; i++, r++) {
        buf_addf(out, "%7.1f  %-28s %6u %8u %6" PRIu64 " %6u %5u %7u %8.3g",
            r->score, name_of(r, v), r->points, r->events,
            sum(r->deviations, DEVIATIONS), r->violations, r->late, r->missing,
            (double)blamed_ends(r) / days(v));
        if (r->pings > 0)
            buf_addf(out, " %5" PRIu64 "ms", ping_ms(r));
        else
            buf_addf(out, " %7s", "-");
        if (r->clock_known)
            buf_addf(out, " %+8.1fs", (double)r->clock_ms / 1000);
        else
            buf_addf(out, " %9s", "-");
        buf_addc(out, '\n');
        put_kinds(out, r, days(v));
    }
    if (n > v->worst)
        buf_addf(
            out, "%zu more; --worst sets how many are shown\n", n - v->worst);
}

/* --- JSON -------------------------------------------------------------------- */

static void
put_row(struct writer *w, const struct score_row *r, const struct score_view *v)
{
    writer_open(w, NULL, '{');
    if (r->name[0] != '\0')
        writer_str(w, score_by_name[v->by], r->name);
    else
        writer_null(w, score_by_name[v->by]);
    for (unsigned i = 1; v->by == SCORE_POINT && i < 4; i++)
        if (r->of[i][0] != '\0')
            writer_str(w, score_by_name[i], r->of[i]);
    writer_f64(w, "score", r->score);
    writer_u64(w, "chargePoints", r->points);
    writer_u64(w, "events", r->events);
    writer_open(w, "deviations", '{');
    for (unsigned i = 0; i < DEVIATIONS; i++)
        if (r->deviations[i] > 0)
            writer_u64(w, deviation_names[i], r->deviations[i]);
    writer_close(w);
    writer_u64(w, "violations", r->violations);
    writer_u64(w, "lateAnswers", r->late);
    writer_u64(w, "missingAnswers", r->missing);
    writer_open(w, "endsPerDay", '{');
    for (unsigned i = 0; i < CLOSE_REASONS; i++)
        if (r->ends[i] > 0)
            writer_f64(w, close_info[i].word, r->ends[i] / days(v));
    writer_close(w);
    if (r->pings > 0) {
        writer_u64(w, "pingMs", ping_ms(r));
        writer_u64(w, "pingMaxMs", r->ping_max_ms);
    }
    if (r->clock_known)
        writer_i64(w, "clockSkewMs", r->clock_ms);
    writer_close(w);
}

void
score_put_json(struct score *s, const struct score_view *v, struct buf *out)
{
    struct writer           w = WRITER_INIT(out);
    char                    when[CLOCK_RFC3339_LEN + 1];
    size_t                  n;
    const struct score_row *r = score_rows(s, v, &n);

    writer_open(&w, NULL, '{');
    clock_rfc3339(when, v->since_ms);
    writer_str(&w, "since", when);
    clock_rfc3339(when, v->until_ms);
    writer_str(&w, "until", when);
    writer_bool(&w, "partial", v->partial);
    writer_str(&w, "by", score_by_name[v->by]);
    writer_u64(&w, "events", score_events(s));
    writer_u64(&w, "chargePoints", score_points(s));
    writer_u64(&w, "rows", n);
    writer_open(&w, "worst", '[');
    for (size_t i = 0; i < n && i < v->worst; i++)
        put_row(&w, &r[i], v);
    writer_close(&w);
    writer_close(&w);
    buf_addc(out, '\n');
}

/* --- Prometheus -------------------------------------------------------------- */

/* Vendors, models and identities come from charge points, and the output may be
 * shown in a terminal. */
static void
put_label(struct buf *out, const char *from)
{
    char   text[512];
    size_t n = strlen(from);

    n = n < sizeof text ? n : sizeof text - 1;
    memcpy(text, from, n);
    text[n] = '\0';
    printable_mask(text, n);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            buf_addc(out, '\\');
        buf_addc(out, *p);
    }
}

struct series {
    const char *name, *help;
    double (*value)(const struct score_row *r, double per);
};

static double
v_score(const struct score_row *r, double per)
{
    (void)per;
    return r->score;
}

static double
v_points(const struct score_row *r, double per)
{
    (void)per;
    return r->points;
}

static double
v_deviations(const struct score_row *r, double per)
{
    return (double)sum(r->deviations, DEVIATIONS) / per;
}

static double
v_violations(const struct score_row *r, double per)
{
    return r->violations / per;
}

static double
v_late(const struct score_row *r, double per)
{
    return r->late / per;
}

static double
v_missing(const struct score_row *r, double per)
{
    return r->missing / per;
}

static double
v_ends(const struct score_row *r, double per)
{
    return (double)blamed_ends(r) / per;
}

static double
v_ping(const struct score_row *r, double per)
{
    (void)per;
    return (double)ping_ms(r) / 1000;
}

static double
v_clock(const struct score_row *r, double per)
{
    (void)per;
    return (double)r->clock_ms / 1000;
}

static const struct series series[] = {
    {"score", "Demerits a day and charge point", v_score},
    {"charge_points", "Charge points with events in the window", v_points},
    {"deviations_per_day", "Harmless deviations", v_deviations},
    {"violations_per_day", "Breaches of the protocol", v_violations},
    {"late_answers_per_day", "Answers after ocpp.message_timeout", v_late},
    {"missing_answers_per_day", "CALLs of the gateway without an answer",
        v_missing},
    {"ends_per_day", "Ends of connections by the charge point or its network",
        v_ends},
    {"ping_seconds", "Mean of the last ping of each ended connection", v_ping},
    {"clock_skew_seconds", "Error of the clock that is farthest off", v_clock},
};

void
score_put_prometheus(
    struct score *s, const struct score_view *v, struct buf *out)
{
    size_t                  n;
    const struct score_row *r = score_rows(s, v, &n);

    for (size_t k = 0; k < sizeof series / sizeof *series; k++) {
        double rest = 0;
        buf_addf(out, "# HELP ocppd_score_%s %s\n# TYPE ocppd_score_%s gauge\n",
            series[k].name, series[k].help, series[k].name);
        for (size_t i = 0; i < n; i++) {
            double value = series[k].value(&r[i], days(v));
            if (i >= v->labels) {
                /* For a quantity that cannot be added, the largest value is
                   used. */
                bool adds = strstr(series[k].name, "per_day") != NULL ||
                    strcmp(series[k].name, "charge_points") == 0;
                rest = adds ? rest + value : value > rest ? value : rest;
                continue;
            }
            buf_addf(out, "ocppd_score_%s{%s=\"", series[k].name,
                score_by_name[v->by]);
            put_label(out, name_of(&r[i], v));
            buf_addf(out, "\"} %.9g\n", value);
        }
        if (n > v->labels)
            buf_addf(out, "ocppd_score_%s{%s=\"other\"} %.9g\n", series[k].name,
                score_by_name[v->by], rest);
    }
}
