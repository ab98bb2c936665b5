/*
 * metrics: the numbers of stats.def, for people, programs and Prometheus. See
 * metrics.h.
 *
 * Everything loops over stat_info[], so a row added to the table appears
 * everywhere. The few numbers that are not in the table (states of workers,
 * limits, reloads) are in one function.
 */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin/exposition.h"
#include "admin/metrics.h"
#include "admin/report.h"
#include "clock.h"
#include "mdoc.h"
#include "version.h"
#include "writer.h"

static const stat_value *
values(const struct stats *st, const struct stat_info *info)
{
    return (const stat_value *)((const char *)st + info->offset);
}

static void
read_histogram(const struct stats *st, const struct stat_info *info,
    uint64_t counts[STATS_BUCKETS], uint64_t *total, uint64_t *sum_us)
{
    const struct histogram *h =
        (const struct histogram *)((const char *)st + info->offset);

    *total = 0;
    for (int i = 0; i < STATS_BUCKETS; i++) {
        counts[i] = stat_get(&h->bucket[i]);
        *total += counts[i];
    }
    *sum_us = stat_get(&h->sum_us);
}

static bool
matches(const char *pattern, const char *name)
{
    return pattern == NULL || fnmatch(pattern, name, 0) == 0;
}

/* --- text ---------------------------------------------------------------- */

static void
histogram_line(
    const struct stats *st, const struct stat_info *info, struct buf *out)
{
    uint64_t counts[STATS_BUCKETS], total, sum_us;

    read_histogram(st, info, counts, &total, &sum_us);
    buf_addf(out, "%-40s %14" PRIu64, info->name, total);
    if (total > 0) {
        buf_adds(out, "  mean ");
        histogram_put_us(out, sum_us / total);
        static const struct {
            const char *name;
            double      q;
        } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}};
        for (int i = 0; i < 4; i++) {
            buf_addf(out, "  %s <", quantiles[i].name);
            histogram_put_us(out, histogram_quantile(counts, quantiles[i].q));
        }
    }
    buf_addc(out, '\n');
}

bool
metrics_text(const struct shm *s, const char *pattern, struct buf *out)
{
    struct stats sum;
    bool         any = false;

    shm_sum(s, &sum);
    for (size_t i = 0; i < stat_info_count; i++) {
        const struct stat_info *info = &stat_info[i];
        if (!matches(pattern, info->name))
            continue;
        any = true;
        if (info->kind == STAT_HISTOGRAM) {
            histogram_line(&sum, info, out);
            continue;
        }
        const stat_value *v = values(&sum, info);
        uint64_t          total = 0;
        for (unsigned r = 0; r < info->rows; r++)
            total += stat_get(&v[r]);
        buf_addf(out, "%-40s %14" PRIu64 "\n", info->name, total);
        /* Only rows that are not 0. */
        for (unsigned r = 0; info->label != NULL && r < info->rows; r++)
            if (stat_get(&v[r]) != 0)
                buf_addf(out, "  %-38s %14" PRIu64 "\n", info->row_name(r),
                    stat_get(&v[r]));
    }
    return any;
}

/* --- JSON ---------------------------------------------------------------- */

static void
histogram_object(
    const struct stats *st, const struct stat_info *info, struct writer *w)
{
    uint64_t counts[STATS_BUCKETS], total, sum_us;

    read_histogram(st, info, counts, &total, &sum_us);
    writer_open(w, info->name, '{');
    writer_u64(w, "count", total);
    writer_u64(w, "sumUs", sum_us);
    writer_u64(w, "p50Us", histogram_quantile(counts, 0.5));
    writer_u64(w, "p90Us", histogram_quantile(counts, 0.9));
    writer_u64(w, "p99Us", histogram_quantile(counts, 0.99));
    writer_u64(w, "maxUs", histogram_quantile(counts, 1));
    writer_close(w);
}

bool
metrics_json(const struct shm *s, const char *pattern, struct buf *out)
{
    struct writer w = WRITER_INIT(out);
    struct stats  sum;
    bool          any = false;

    shm_sum(s, &sum);
    writer_open(&w, NULL, '{');
    for (size_t i = 0; i < stat_info_count; i++) {
        const struct stat_info *info = &stat_info[i];
        if (!matches(pattern, info->name))
            continue;
        any = true;
        const stat_value *v = values(&sum, info);
        if (info->kind == STAT_HISTOGRAM) {
            histogram_object(&sum, info, &w);
        } else if (info->label == NULL) {
            writer_u64(&w, info->name, stat_get(v));
        } else {
            writer_open(&w, info->name, '{');
            for (unsigned r = 0; r < info->rows; r++)
                writer_u64(&w, info->row_name(r), stat_get(&v[r]));
            writer_close(&w);
        }
    }
    writer_close(&w);
    buf_addc(out, '\n');
    return any;
}

/* --- Prometheus ---------------------------------------------------------- */

static void
gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
    exposition_head(out, name, "gauge", help);
    buf_addf(out, "ocppd_%s %" PRIu64 "\n", name, value);
}

/* name includes _total. */
static void
counter(struct buf *out, const char *name, const char *help, uint64_t value)
{
    exposition_head(out, name, "counter", help);
    buf_addf(out, "ocppd_%s %" PRIu64 "\n", name, value);
}

static void
gauge_ms(struct buf *out, const char *name, const char *help, uint64_t ms)
{
    exposition_head(out, name, "gauge", help);
    buf_addf(out, "ocppd_%s %.3f\n", name, (double)ms / 1e3);
}

static void
prometheus_histogram(const struct stats *st, const struct stat_info *info,
    const char *name, struct buf *out)
{
    uint64_t counts[STATS_BUCKETS], total, sum_us, below = 0;

    exposition_head(out, name, "histogram", info->doc);
    read_histogram(st, info, counts, &total, &sum_us);
    for (int i = 0; i < STATS_BOUNDS; i++) {
        below += counts[i];
        if (histogram_bounds[i] >= STATS_METRIC_FROM)
            buf_addf(out, "ocppd_%s_bucket{le=\"%.9g\"} %" PRIu64 "\n", name,
                histogram_bounds[i] / 1e6, below);
    }
    buf_addf(out, "ocppd_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, total);
    buf_addf(out, "ocppd_%s_sum %.9g\n", name, (double)sum_us / 1e6);
    buf_addf(out, "ocppd_%s_count %" PRIu64 "\n", name, total);
}

static void
prometheus_row(const struct shm *s, const struct stats *sum,
    const struct stat_info *info, struct buf *out)
{
    const stat_value *v = values(sum, info);
    char              name[STAT_METRIC_LEN];

    if (!stat_metric(info, name))
        return;
    if (info->kind == STAT_HISTOGRAM) {
        prometheus_histogram(sum, info, name, out);
        return;
    }
    if (info->offset == offsetof(struct stats, ship_lag_ms)) {
        gauge_ms(out, name, info->doc, stat_get(v));
        return;
    }
    exposition_head(
        out, name, info->kind == STAT_COUNTER ? "counter" : "gauge", info->doc);
    if (info->offset == offsetof(struct stats, connections)) {
        /* These values show how evenly the kernel spreads the clients over the
           workers. */
        for (unsigned i = 0; i < shm_slots(s); i++)
            buf_addf(out, "ocppd_%s{worker=\"%u\"} %" PRIu64 "\n", name, i,
                stat_get(&shm_worker(s, i)->stats.connections));
        return;
    }
    if (info->label == NULL) {
        buf_addf(out, "ocppd_%s %" PRIu64 "\n", name, stat_get(v));
        return;
    }
    for (unsigned r = 0; r < info->rows; r++) {
        buf_addf(out, "ocppd_%s{%s=\"", name, info->label);
        exposition_label(out, info->row_name(r));
        buf_addf(out, "\"} %" PRIu64 "\n", stat_get(&v[r]));
    }
}

/* Numbers that are not in stats.def. */
static void
prometheus_daemon(const struct shm *s, struct buf *out)
{
    struct config c;
    uint64_t      restarts = 0;
    unsigned      states[SHM_WORKER_FAILED + 1] = {0};

    shm_config_read(s, &c);
    exposition_head(out, "build_info", "gauge",
        "The version that runs, as a label; the value is always 1");
    buf_adds(out, "ocppd_build_info{version=\"");
    exposition_label(out, OCPPD_VERSION);
    buf_adds(out, "\",node=\"");
    char node[sizeof s->node + 1] = "";
    memcpy(node, s->node, sizeof s->node);
    exposition_label(out, node);
    buf_adds(out, "\"} 1\n");
    gauge_ms(out, "start_time_seconds",
        "When the daemon was started, Unix time", s->started_wall_ms);
    gauge_ms(out, "uptime_seconds",
        "How long the daemon has been running, by the monotonic clock",
        clock_mono_ms() - s->started_mono_ms);

    for (unsigned i = 0; i < shm_slots(s); i++) {
        const struct shm_worker *w = shm_worker(s, i);
        int                      state = w->state;
        if (state >= 0 && state <= SHM_WORKER_FAILED)
            states[state]++;
        restarts += w->incarnation > 0 ? w->incarnation - 1 : 0;
    }
    exposition_head(out, "workers", "gauge", "Worker processes by state");
    for (int i = 0; i <= SHM_WORKER_FAILED; i++)
        buf_addf(out, "ocppd_workers{state=\"%s\"} %u\n", shm_state_word(i),
            states[i]);
    counter(out, "worker_restarts_total", "Successors of worker processes",
        restarts);
    gauge(out, "max_connections", "server.max_connections",
        c.server_max_connections);
    gauge(out, "identities", "Charge points remembered, connected or not",
        registry_used(shm_registry(s)));
    gauge(out, "max_identities", "Charge points that can be remembered",
        shm_capacity(s));
    counter(out, "identities_forgotten_total",
        "Charge points forgotten to make room for others",
        shm_registry(s)->forgotten);
    counter(out, "reloads_total",
        "Reloads of the configuration, including those that failed",
        s->reloads);
    counter(out, "reloads_failed_total",
        "Reloads that changed nothing because of an error", s->reloads_failed);
    gauge(out, "config_last_reload_successful",
        "1 if the last reload of the configuration took effect, or if there "
        "was none",
        !s->reload_failed);
    gauge_ms(out, "config_last_reload_success_timestamp_seconds",
        "When the configuration in force was loaded, Unix time",
        s->config_loaded_ms);
    counter(out, "upgrades_total",
        "Upgrades to another program, including those that failed",
        s->upgrades + s->upgrades_failed);
    counter(out, "upgrades_failed_total",
        "Upgrades after which the former program went on", s->upgrades_failed);
    gauge(out, "last_upgrade_successful",
        "1 if the last upgrade succeeded, or if there was none",
        !s->upgrade_failed);
    report_http_metric(out, s);
    gauge(out, "draining", "1 while no new connections are accepted",
        s->draining != 0);
    gauge(out, "ping_interval_seconds", "websocket.ping_interval",
        c.websocket_ping_interval / 1000);
}

/* When certificates and revocation lists end. */
static void
prometheus_tls(const struct shm *s, struct buf *out)
{
    uint32_t n =
        s->tls_files_n < SHM_TLS_FILES ? s->tls_files_n : SHM_TLS_FILES;

    if (s->tls_loaded_ms == 0)
        return;
    exposition_head(out, "certificate_expiry_timestamp_seconds", "gauge",
        "When a certificate or revocation list ends, Unix time");
    for (uint32_t i = 0; i < n; i++) {
        struct shm_tls_file f = s->tls_files[i];
        f.file[sizeof f.file - 1] = f.name[sizeof f.name - 1] = '\0';
        f.type[sizeof f.type - 1] = f.serial[sizeof f.serial - 1] = '\0';
        buf_adds(out, "ocppd_certificate_expiry_timestamp_seconds{file=\"");
        exposition_label(out, f.file);
        buf_adds(out, "\",name=\"");
        exposition_label(out, f.name);
        buf_adds(out, "\",serial=\"");
        exposition_label(out, f.serial);
        buf_addf(out, "\",type=\"%s\"} %lld\n", f.type, (long long)f.not_after);
    }
    struct config c;
    shm_config_read(s, &c);
    gauge(out, "client_certificates_expiring",
        "Charge points whose client certificate ends within "
        "tls.expiry_warning, or has ended",
        report_tls_expiring(s, c.tls_expiry_warning));
    if (s->tickets.n == 0)
        return;
    exposition_head(out, "ticket_key_age_seconds", "gauge",
        "Age of the key of TLS session tickets");
    buf_addf(out, "ocppd_ticket_key_age_seconds %.3f\n",
        (double)(clock_wall_ms() - s->tickets.since_ms) / 1e3);
}

void
metrics_prometheus(const struct shm *s, struct buf *out)
{
    struct stats sum;

    shm_sum(s, &sum);
    prometheus_daemon(s, out);
    prometheus_tls(s, out);
    metrics_models(s, out);
    for (size_t i = 0; i < stat_info_count; i++)
        prometheus_row(s, &sum, &stat_info[i], out);
}

/* --- the manual ---------------------------------------------------------- */

void
metrics_put_manual(struct buf *out)
{
    static const struct {
        enum stat_kind kind;
        const char    *title;
    } parts[] = {{STAT_COUNTER, "Counters"}, {STAT_GAUGE, "Gauges"},
        {STAT_HISTOGRAM, "Histograms"}};

    for (int k = 0; k < 3; k++) {
        buf_addf(out, ".Ss %s\n.Bl -tag -width Ds\n", parts[k].title);
        for (size_t i = 0; i < stat_info_count; i++) {
            const struct stat_info *info = &stat_info[i];
            if (info->kind != parts[k].kind &&
                !(parts[k].kind == STAT_GAUGE && info->kind == STAT_GAUGE_MAX))
                continue;
            char metric[STAT_METRIC_LEN];
            bool exported = stat_metric(info, metric);
            buf_addf(out, ".It Va %s", info->name);
            if (info->label != NULL)
                buf_addf(out, " Pq by Va %s", info->label);
            buf_addc(out, '\n');
            mdoc_prose(out, info->doc, false);
            if (info->kind == STAT_GAUGE_MAX)
                buf_adds(out, "The highest value of all workers.\n");
            if (exported)
                buf_addf(out, "In Prometheus:\n.Li ocppd_%s .\n", metric);
            /* Only short tables are listed. */
            if (info->label == NULL || info->rows > 40)
                continue;
            buf_addf(out, "The values of\n.Va %s\nare", info->label);
            for (unsigned r = 0; r < info->rows; r++)
                buf_addf(out, "\n.Cm %s%s", info->row_name(r),
                    r + 1 == info->rows       ? " ."
                        : r + 2 == info->rows ? "\nand"
                                              : " ,");
            buf_addc(out, '\n');
        }
        buf_adds(out, ".El\n");
    }
}
