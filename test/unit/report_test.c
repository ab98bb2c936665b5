/* Reports of shared memory: /health, /metrics and stats. */
#include "admin/metrics.h"
#include "admin/report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/when.h"
#include "clock.h"
#include "config_read.h"
#include "unit.h"

static struct shm *s;
static struct buf  out = BUF_INIT(16 << 20);

static const char *
health(enum report_health want)
{
    buf_clear(&out);
    CHECK_EQ(report_health(s, &out), want);
    return buf_cstr(&out);
}

static const char *
metrics(void)
{
    buf_clear(&out);
    metrics_prometheus(s, &out);
    return buf_cstr(&out);
}

static void
set_up(void)
{
    static struct config c;
    struct buf           errors = BUF_INIT(4096);
    int                  fd;

    CHECK(config_read_text(&c, "test", "", 0, NULL, 0, &errors));
    c.server_max_connections = 100;
    c.server_max_identities = 100;
    s = shm_make(&c, 2, "node-1", &fd);
    CHECK(s != NULL);
    for (unsigned i = 0; i < 2; i++) {
        shm_worker(s, i)->state = SHM_WORKER_READY;
        shm_worker(s, i)->pid = 100 + (int)i;
        shm_worker(s, i)->incarnation = 1;
        shm_worker(s, i)->alive_ms = clock_mono_ms();
        shm_worker(s, i)->started_ms = clock_mono_ms();
    }
    buf_free(&errors);
    close(fd);
}

static void
health_has_the_shape_that_monitoring_expects(void)
{
    STAT_ADD(&shm_worker(s, 0)->stats, connections, 3);
    STAT_ADD(&shm_worker(s, 1)->stats, connections, 4);
    STAT_ADD(&shm_worker(s, 1)->stats, pings, 20);
    STAT_ADD(&shm_worker(s, 0)->stats, pings_skipped, 2);
    const char *h = health(REPORT_HEALTHY);
    CHECK(strstr(h,
              "{\"connections\":7,\"ping_service\":{"
              "\"active_connections\":7,\"ping_interval\":\"45s\","
              "\"skipped_pings\":2,\"total_pings\":20},"
              "\"status\":\"healthy\",\"timestamp\":\"20") == h);
    CHECK(strstr(h, "Z\",\"uptime\":\"") != NULL);
    CHECK(strstr(h, "\"maxConnections\":100,\"problems\":[],") != NULL);
    CHECK(strstr(h, "\"journal\":{\"status\":\"ok\"") != NULL);
    CHECK(strstr(h, "\"redis\":null}\n") != NULL);
}

static void
health_names_what_is_wrong(void)
{
    struct shm_worker *w = shm_worker(s, 1);

    w->state = SHM_WORKER_FAILED;
    strcpy(w->words, "no \"state\" directory");
    CHECK(strstr(health(REPORT_DEGRADED),
              "[\"worker 1 stays down: no \\\"state\\\" directory\"]") != NULL);
    w->words[0] = '\0';
    w->state = SHM_WORKER_READY;

    STAT_SET(&w->stats, journal_failing, 1);
    w->journal_errno = 28; /* ENOSPC */
    const char *h = health(REPORT_DEGRADED);
    CHECK(strstr(h,
              "the journal of worker 1 cannot be written: No space left "
              "on device") != NULL);
    CHECK(strstr(h, "\"status\":\"failing\"") != NULL);
    STAT_SET(&w->stats, journal_failing, 0);

    w->alive_ms = clock_mono_ms() - 20000;
    CHECK(
        strstr(health(REPORT_DEGRADED), "worker 1 made no progress for 20 s"));
    w->alive_ms = clock_mono_ms();

    STAT_SET(&w->stats, connections, 97);
    CHECK(strstr(health(REPORT_DEGRADED), "server.max_connections = 100 is "));
    STAT_SET(&w->stats, connections, 4);

    w->state = shm_worker(s, 0)->state = SHM_WORKER_DOWN;
    CHECK(strstr(health(REPORT_UNHEALTHY), "no worker is ready"));
    CHECK(!report_ready(s));
    w->state = shm_worker(s, 0)->state = SHM_WORKER_READY;
    CHECK(report_ready(s));
    s->draining = 1;
    CHECK(strstr(health(REPORT_UNHEALTHY), "draining"));
    CHECK(!report_ready(s));
    s->draining = 0;
    health(REPORT_HEALTHY);
}

static void
histograms_are_cumulative_and_in_seconds(void)
{
    struct histogram *h = &shm_worker(s, 0)->stats.answer_time;

    histogram_add(h, 3);        /* below the first bound */
    histogram_add(h, 1000);     /* exactly the bound */
    histogram_add(h, 90000000); /* above the last bound */
    const char *m = metrics();
    CHECK(strstr(m, "# TYPE ocppd_answer_duration_seconds histogram\n"));
    CHECK(strstr(m, "ocppd_answer_duration_seconds_bucket{le=\"1e-05\"}") ==
        NULL);
    CHECK(strstr(m, "ocppd_answer_duration_seconds_bucket{le=\"0.0005\"} 1\n"));
    CHECK(strstr(m, "ocppd_answer_duration_seconds_bucket{le=\"0.001\"} 2\n"));
    CHECK(strstr(m, "ocppd_answer_duration_seconds_bucket{le=\"60\"} 2\n"));
    CHECK(strstr(m, "ocppd_answer_duration_seconds_bucket{le=\"+Inf\"} 3\n"));
    CHECK(strstr(m, "ocppd_answer_duration_seconds_sum 90.001003\n"));
    CHECK(strstr(m, "ocppd_answer_duration_seconds_count 3\n"));
}

static void
metrics_name_every_row(void)
{
    const char *m = metrics();
    char        line[256];

    for (size_t i = 0; i < stat_info_count; i++) {
        const struct stat_info *info = &stat_info[i];
        UNIT_CASE(info->name);
        char metric[STAT_METRIC_LEN];
        if (!stat_metric(info, metric))
            continue;
        snprintf(line, sizeof line, "# HELP ocppd_%s ", metric);
        CHECK(strstr(m, line) != NULL);
        snprintf(line, sizeof line, "\nocppd_%s", metric);
        CHECK(strstr(m, line) != NULL);
    }
    UNIT_CASE("");
    CHECK(strstr(m, "ocppd_connections{worker=\"0\"} 3\n"));
    CHECK(strstr(m, "ocppd_connections{worker=\"1\"} 4\n"));
    CHECK(strstr(m, "ocppd_build_info{version=\"") != NULL);
    CHECK(strstr(m, "ocppd_workers{state=\"ready\"} 2\n"));
}

static void
stats_are_chosen_by_pattern(void)
{
    buf_clear(&out);
    CHECK(metrics_text(s, "pings*", &out));
    const char *t = buf_cstr(&out);
    CHECK(strncmp(t, "pings ", 6) == 0);
    CHECK(strstr(t, "\npings_skipped "));
    CHECK(strstr(t, "connections") == NULL);
    buf_clear(&out);
    CHECK(!metrics_text(s, "nothing", &out));
    buf_clear(&out);
    CHECK(metrics_json(s, "connections", &out));
    CHECK_STR(buf_cstr(&out), "{\"connections\":7}\n");
}

static void
ages_are_short(void)
{
    static const struct {
        uint64_t    age;
        const char *want;
    } rows[] = {{0, "0s ago"}, {119, "119s ago"}, {120, "2m ago"},
        {7199, "119m ago"}, {7200, "2h ago"}, {172800, "2d ago"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_clear(&out);
        when_ago(&out, 1000000, 1000000 - rows[i].age);
        CHECK_STR(buf_cstr(&out), rows[i].want);
    }
    buf_clear(&out);
    when_ago(&out, 5, 9); /* the clock was set back */
    CHECK_STR(buf_cstr(&out), "0s ago");
    buf_clear(&out);
    when_ago(&out, 5, 0);
    CHECK_STR(buf_cstr(&out), "never");
}

int
main(void)
{
    set_up();
    health_has_the_shape_that_monitoring_expects();
    health_names_what_is_wrong();
    histograms_are_cumulative_and_in_seconds();
    metrics_name_every_row();
    stats_are_chosen_by_pattern();
    ages_are_short();
    buf_free(&out);
    return unit_done();
}
