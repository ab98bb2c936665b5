/* report: the state of the gateway as text and JSON. See report.h. */
#include "admin/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/when.h"
#include "clock.h"
#include "log.h"
#include "version.h"
#include "writer.h"

/* s for which a limit that has refused a handshake is reported as a problem. */
#define LIMIT_RECENT_S 60

static int
state_of(const struct shm_worker *w)
{
    return atomic_load_explicit(
        (_Atomic int32_t *)&w->state, memory_order_relaxed);
}

static uint64_t
uptime_ms(const struct shm *s)
{
    return clock_mono_ms() - s->started_mono_ms;
}

static unsigned
count_state(const struct shm *s, enum shm_worker_state state)
{
    unsigned n = 0;

    for (unsigned i = 0; i < shm_slots(s); i++)
        n += state_of(shm_worker(s, i)) == (int)state;
    return n;
}

bool
report_ready(const struct shm *s)
{
    return count_state(s, SHM_WORKER_READY) > 0 && s->draining == 0;
}

/* --- problems ------------------------------------------------------------ */

/* Where sentences are written: w, lines or neither. */
struct problems {
    struct writer     *w;     /* an open array */
    struct buf        *lines; /* text */
    enum report_health health;
};

static void problem(struct problems *p, enum report_health health,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void
problem(struct problems *p, enum report_health health, const char *fmt, ...)
{
    char    text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (health > p->health)
        p->health = health;
    if (p->w != NULL)
        writer_str(p->w, NULL, text);
    if (p->lines != NULL)
        buf_addf(p->lines, "  problem      %s\n", text);
}

static void
worker_problems(struct problems *p, const struct shm *s, unsigned i)
{
    const struct shm_worker *w = shm_worker(s, i);
    char                     words[SHM_WORDS_MAX];
    int                      state = state_of(w);
    uint64_t                 now = clock_mono_ms();

    memcpy(words, w->words, sizeof words);
    words[sizeof words - 1] = '\0';
    if (state == SHM_WORKER_FAILED)
        problem(p, REPORT_DEGRADED, "worker %u stays down: %s", i,
            words[0] ? words : "it gave no reason; see the log");
    else if (state == SHM_WORKER_DOWN || state == SHM_WORKER_STARTING)
        problem(
            p, REPORT_DEGRADED, "worker %u is %s", i, shm_state_word(state));
    else if (w->alive_ms != 0 && now > w->alive_ms + SHM_STALE_MS)
        problem(p, REPORT_DEGRADED,
            "worker %u made no progress for %" PRIu64 " s", i,
            (now - w->alive_ms) / 1000);
    if (stat_get(&w->stats.helpers_late) != 0)
        problem(p, REPORT_DEGRADED,
            "worker %u waits for a disk, a lock or a name server; the log "
            "names it",
            i);
    if (stat_get(&w->stats.ids_failing) != 0)
        problem(p, REPORT_DEGRADED,
            "worker %u gets no transaction ids; each StartTransaction waits; "
            "the log has the reason",
            i);
    if (stat_get(&w->stats.journal_failing) != 0)
        problem(p, REPORT_DEGRADED,
            "the journal of worker %u cannot be written: %s; nothing is "
            "acknowledged to its charge points until it can",
            i, strerror((int)w->journal_errno));
    else if (stat_get(&w->stats.journal_stalled) != 0)
        problem(p, REPORT_DEGRADED,
            "the journal of worker %u waits for its disk; nothing is "
            "acknowledged to its charge points meanwhile",
            i);
}

/* The callback of report_redis_problems(). */
static void
redis_problem(void *ctx, const char *fmt, ...)
{
    char    text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    problem(ctx, REPORT_DEGRADED, "%s", text);
}

/* Reports a limit that refused handshakes within the last minute. Limits for
 * one client that connects or fails too often are reported too, but they do not
 * make the gateway unhealthy.
 */
static void
limit_problem(
    struct problems *p, const struct shm *s, unsigned reason, uint64_t refused)
{
    uint32_t now = (uint32_t)(clock_mono_ms() / 1000), last = 0;
    bool     of_client = reason == REFUSE_flapping || reason == REFUSE_failing;

    if (!close_is_limit(reason))
        return;
    for (unsigned i = 0; i < shm_slots(s); i++) {
        uint32_t at = shm_worker(s, i)->refused_s[reason];
        if (at > last && at <= now)
            last = at;
    }
    if (last == 0 || now - last >= LIMIT_RECENT_S)
        return;
    problem(p, of_client ? REPORT_HEALTHY : REPORT_DEGRADED,
        "handshakes were refused %u s ago: %s (%" PRIu64 " since the start)",
        now - last, refuse_info[reason].sentence, refused);
}

static enum report_health
find_problems(const struct shm *s, const struct config *c,
    const struct stats *sum, struct writer *w, struct buf *lines)
{
    struct problems p = {.w = w, .lines = lines};

    if (s->draining)
        problem(&p, REPORT_UNHEALTHY,
            "the gateway is draining and takes no new connections");
    else if (count_state(s, SHM_WORKER_READY) == 0)
        problem(&p, REPORT_UNHEALTHY, "no worker is ready");
    for (unsigned i = 0; i < shm_slots(s); i++)
        worker_problems(&p, s, i);
    if (s->master_waits)
        problem(&p, REPORT_DEGRADED,
            "the master waits for the disk of a file, which the log names; "
            "changes of that file wait");
    if (s->reload_failed)
        problem(&p, REPORT_DEGRADED,
            "the last reload failed (%.*s); the former configuration is still "
            "in force",
            (int)sizeof s->reload_words, s->reload_words);
    report_redis_problems(s, c, redis_problem, &p);
    report_tls_problems(s, c, redis_problem, &p);
    if (stat_get(&sum->connections) >= c->server_max_connections)
        problem(&p, REPORT_DEGRADED,
            "server.max_connections = %" PRIu64 " is reached; further charge "
            "points are refused",
            c->server_max_connections);
    for (unsigned i = 0; i < REFUSE_REASONS; i++)
        limit_problem(&p, s, i, stat_get(&sum->refused[i]));
    return p.health;
}

static const char *
health_word(enum report_health h)
{
    return h == REPORT_HEALTHY ? "healthy"
        : h == REPORT_DEGRADED ? "degraded"
                               : "unhealthy";
}

static int
journal_error(const struct shm *s)
{
    for (unsigned i = 0; i < shm_slots(s); i++)
        if (stat_get(&shm_worker(s, i)->stats.journal_failing) != 0)
            return (int)shm_worker(s, i)->journal_errno;
    return 0;
}

static const char *
journal_word(const struct stats *sum)
{
    return stat_get(&sum->journal_failing) != 0 ? "failing"
        : stat_get(&sum->journal_stalled) != 0  ? "stalled"
                                                : "ok";
}

static void
put_journal(struct writer *w, const struct shm *s, const struct stats *sum)
{
    bool failing = stat_get(&sum->journal_failing) != 0;

    writer_open(w, "journal", '{');
    writer_str(w, "status", journal_word(sum));
    writer_u64(w, "backlogBytes", stat_get(&sum->journal_backlog_bytes));
    writer_u64(w, "answersHeld", stat_get(&sum->answers_held));
    if (failing)
        writer_str(w, "error", strerror(journal_error(s)));
    else
        writer_null(w, "error");
    writer_close(w);
}

/* Reports the last unexpected end of a process of this slot. */
static void
put_death(struct writer *w, const struct shm_worker *k)
{
    char text[CLOCK_RFC3339_LEN + 1];

    writer_u64(w, "deaths", k->deaths);
    if (k->died_wall_ms == 0) {
        writer_null(w, "lastDeath");
        return;
    }
    clock_rfc3339(text, k->died_wall_ms);
    writer_open(w, "lastDeath", '{');
    writer_str(w, "time", text);
    writer_strn(w, "how", k->death, strnlen(k->death, sizeof k->death));
    writer_close(w);
}

static void
put_worker(struct writer *w, const struct shm *s, unsigned i)
{
    const struct shm_worker *k = shm_worker(s, i);

    writer_open(w, NULL, '{');
    writer_u64(w, "worker", i);
    writer_i64(w, "pid", k->pid);
    writer_str(w, "state", shm_state_word(state_of(k)));
    writer_u64(w, "connections", stat_get(&k->stats.connections));
    if (k->pid != 0) {
        writer_u64(w, "uptimeMs", clock_mono_ms() - k->started_ms);
    } else {
        writer_null(w, "uptimeMs");
    }
    put_death(w, k);
    writer_close(w);
}

/* Writes the open connections by OCPP version. */
static void
put_versions(struct writer *w, const struct stats *sum)
{
    writer_open(w, "connectionsByVersion", '{');
    for (unsigned i = 0; i < STATS_VERSIONS; i++)
        writer_u64(
            w, stats_version(i), stat_get(&sum->connections_by_version[i]));
    writer_close(w);
}

enum report_health
report_health(const struct shm *s, struct buf *out)
{
    struct writer w = WRITER_INIT(out);
    struct stats  sum;
    struct config c;
    char          text[64];

    shm_sum(s, &sum);
    shm_config_read(s, &c);
    enum report_health h = find_problems(s, &c, &sum, NULL, NULL);

    /* The first members are those of the gateway that ocppd replaces, under the
     * same names, because programs read them. */
    writer_open(&w, NULL, '{');
    writer_u64(&w, "connections", stat_get(&sum.connections));
    writer_open(&w, "ping_service", '{');
    writer_u64(&w, "active_connections", stat_get(&sum.connections));
    clock_duration(text, c.websocket_ping_interval);
    writer_str(&w, "ping_interval", text);
    writer_u64(&w, "skipped_pings", stat_get(&sum.pings_skipped));
    writer_u64(&w, "total_pings", stat_get(&sum.pings));
    writer_close(&w);
    writer_str(&w, "status", health_word(h));
    clock_rfc3339(text, clock_wall_ms());
    writer_str(&w, "timestamp", text);
    clock_duration(text, uptime_ms(s));
    writer_str(&w, "uptime", text);
    writer_u64(&w, "uptimeMs", uptime_ms(s));
    writer_u64(&w, "maxConnections", c.server_max_connections);
    writer_open(&w, "problems", '[');
    find_problems(s, &c, &sum, &w, NULL);
    writer_close(&w);
    put_versions(&w, &sum);
    writer_u64(&w, "charging", stat_get(&sum.charging));
    writer_open(&w, "workers", '[');
    for (unsigned i = 0; i < shm_slots(s); i++)
        put_worker(&w, s, i);
    writer_close(&w);
    put_journal(&w, s, &sum);
    report_redis(&w, s, &c);
    writer_close(&w);
    buf_addc(out, '\n');
    return h;
}

/* --- status -------------------------------------------------------------- */

static void
status_json(const struct shm *s, const char *conf_file, const struct config *c,
    const struct stats *sum, struct buf *out)
{
    struct writer w = WRITER_INIT(out);
    char          text[64];

    writer_open(&w, NULL, '{');
    writer_str(&w, "version", OCPPD_VERSION);
    writer_strn(&w, "node", s->node, strnlen(s->node, sizeof s->node));
    writer_i64(&w, "pid", s->master_pid);
    writer_str(&w, "status", health_word(find_problems(s, c, sum, NULL, NULL)));
    clock_rfc3339(text, s->started_wall_ms);
    writer_str(&w, "started", text);
    writer_u64(&w, "uptimeMs", uptime_ms(s));
    writer_bool(&w, "draining", s->draining != 0);
    writer_u64(&w, "workers", shm_slots(s));
    writer_u64(&w, "workersReady", count_state(s, SHM_WORKER_READY));
    writer_u64(&w, "connections", stat_get(&sum->connections));
    writer_u64(&w, "maxConnections", c->server_max_connections);
    writer_u64(&w, "identities", registry_used(shm_registry(s)));
    writer_u64(&w, "maxIdentities", shm_capacity(s));
    writer_str(&w, "logLevel",
        log_level_name(
            (enum log_level)atomic_load((_Atomic int *)&s->log_level)));
    writer_open(&w, "config", '{');
    if (conf_file != NULL)
        writer_str(&w, "file", conf_file);
    else
        writer_null(&w, "file");
    writer_u64(&w, "version", s->config_version);
    writer_u64(&w, "reloads", s->reloads);
    writer_u64(&w, "reloadsFailed", s->reloads_failed);
    if (s->reload_wall_ms != 0) {
        clock_rfc3339(text, s->reload_wall_ms);
        writer_str(&w, "lastReload", text);
    } else {
        writer_null(&w, "lastReload");
    }
    writer_strn(&w, "lastWords", s->reload_words,
        strnlen(s->reload_words, sizeof s->reload_words));
    writer_close(&w);
    report_upgrade_json(&w, s);
    report_http_json(&w, s);
    put_journal(&w, s, sum);
    writer_open(&w, "problems", '[');
    find_problems(s, c, sum, &w, NULL);
    writer_close(&w);
    writer_close(&w);
    buf_addc(out, '\n');
}

static void
status_text(const struct shm *s, const char *conf_file, const struct config *c,
    const struct stats *sum, struct buf *out)
{
    char     age[CLOCK_DURATION_LEN];
    uint64_t now = clock_wall_ms() / 1000;

    clock_duration(age, uptime_ms(s));
    buf_addf(out, "ocppd " OCPPD_VERSION " on %.*s: %s%s\n",
        (int)sizeof s->node, s->node,
        health_word(find_problems(s, c, sum, NULL, NULL)),
        s->draining ? ", draining" : "");
    find_problems(s, c, sum, NULL, out);
    buf_addf(out, "  running      %s, since ", age);
    when_put(out, s->started_wall_ms / 1000);
    buf_addf(out, ", pid %d\n", s->master_pid);
    buf_addf(out, "  workers      %u of %u ready\n",
        count_state(s, SHM_WORKER_READY), shm_slots(s));
    for (unsigned i = 0; i < shm_slots(s); i++) {
        const struct shm_worker *k = shm_worker(s, i);
        if (k->died_wall_ms == 0)
            continue;
        buf_addf(out, "  worker %-3u   died ", i);
        when_ago(out, now, k->died_wall_ms / 1000);
        buf_addf(out, " (%u time%s in all); it %.*s\n", k->deaths,
            k->deaths == 1 ? "" : "s", (int)strnlen(k->death, sizeof k->death),
            k->death);
    }
    buf_addf(out,
        "  connections  %" PRIu64 " of %" PRIu64 ", %" PRIu64
        " in their handshake\n",
        stat_get(&sum->connections), c->server_max_connections,
        stat_get(&sum->handshaking));
    buf_addf(out, "  identities   %u of %u remembered\n",
        registry_used(shm_registry(s)), shm_capacity(s));
    bool failing = stat_get(&sum->journal_failing) != 0;
    buf_addf(out,
        "  journal      %s, %" PRIu64 " events, %" PRIu64
        " bytes waiting for the disk\n",
        failing ? strerror(journal_error(s)) : journal_word(sum),
        stat_get(&sum->events), stat_get(&sum->journal_backlog_bytes));
    buf_addf(out, "  listening    %s%s%s%s\n", c->server_listen,
        *c->server_listen != 0 && *c->server_listen_tls != 0 ? ", " : "",
        c->server_listen_tls, *c->server_listen_tls != 0 ? " (TLS)" : "");
    buf_addf(out, "  config       %s\n",
        conf_file ? conf_file : "no file, built-in defaults");
    buf_adds(out, "  last reload  ");
    when_ago(out, now, s->reload_wall_ms / 1000);
    if (s->reload_wall_ms != 0)
        buf_addf(out, ": %.*s", (int)sizeof s->reload_words, s->reload_words);
    buf_addc(out, '\n');
    report_upgrade_text(out, s, now);
    report_http_text(out, s, now);
}

void
report_status(
    const struct shm *s, const char *conf_file, bool json, struct buf *out)
{
    struct stats  sum;
    struct config c;

    shm_sum(s, &sum);
    shm_config_read(s, &c);
    (json ? status_json : status_text)(s, conf_file, &c, &sum, out);
}

/* --- workers ------------------------------------------------------------- */

static void
worker_line(const struct shm *s, unsigned i, struct buf *out)
{
    const struct shm_worker *k = shm_worker(s, i);
    char                     age[CLOCK_DURATION_LEN] = "-";
    uint64_t                 now = clock_mono_ms();
    int                      state = state_of(k);

    if (k->pid != 0)
        clock_duration(age, now - k->started_ms);
    buf_addf(out,
        "%6u  %-8s  %7d  %10s  %6u  %11" PRIu64 "  %12" PRIu64 "  %10" PRIu64,
        i, shm_state_word(state), k->pid, age, k->incarnation,
        stat_get(&k->stats.connections), stat_get(&k->stats.messages_in),
        stat_get(&k->stats.events));
    if (k->words[0] != '\0')
        buf_addf(out, "  %.*s", SHM_WORDS_MAX - 1, k->words);
    else if (stat_get(&k->stats.journal_failing) != 0)
        buf_addf(out, "  journal: %s", strerror((int)k->journal_errno));
    buf_addc(out, '\n');
}

static void
worker_object(struct writer *w, const struct shm *s, unsigned i)
{
    const struct shm_worker *k = shm_worker(s, i);
    uint64_t                 now = clock_mono_ms();

    writer_open(w, NULL, '{');
    writer_u64(w, "worker", i);
    writer_str(w, "state", shm_state_word(state_of(k)));
    writer_i64(w, "pid", k->pid);
    writer_u64(w, "starts", k->incarnation);
    writer_u64(w, "uptimeMs", k->pid ? now - k->started_ms : 0);
    writer_u64(w, "aliveMsAgo", now > k->alive_ms ? now - k->alive_ms : 0);
    writer_u64(w, "configVersion", k->config_seen);
    writer_u64(w, "connections", stat_get(&k->stats.connections));
    writer_u64(w, "handshaking", stat_get(&k->stats.handshaking));
    writer_u64(w, "closing", stat_get(&k->stats.closing));
    writer_u64(w, "messagesIn", stat_get(&k->stats.messages_in));
    writer_u64(w, "messagesOut", stat_get(&k->stats.messages_out));
    writer_u64(w, "events", stat_get(&k->stats.events));
    writer_bool(w, "journalFailing", stat_get(&k->stats.journal_failing) != 0);
    writer_strn(w, "lastWords", k->words, strnlen(k->words, SHM_WORDS_MAX));
    put_death(w, k);
    writer_close(w);
}

void
report_workers(const struct shm *s, bool json, struct buf *out)
{
    if (json) {
        struct writer w = WRITER_INIT(out);
        writer_open(&w, NULL, '[');
        for (unsigned i = 0; i < shm_slots(s); i++)
            worker_object(&w, s, i);
        writer_close(&w);
        buf_addc(out, '\n');
        return;
    }
    buf_adds(out,
        "WORKER  STATE         PID      UPTIME  STARTS  CONNECTIONS"
        "   MESSAGES IN      EVENTS  LAST WORDS\n");
    for (unsigned i = 0; i < shm_slots(s); i++)
        worker_line(s, i, out);
}
