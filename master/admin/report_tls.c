/*
 * report_tls: certificates, ticket keys, and the versions and suites in use:
 * for `ocppctl tls`, health and metrics. It reads only shared memory.
 */
#include <inttypes.h>
#include <string.h>

#include "admin/report.h"
#include "base/when.h"
#include "clock.h"
#include "registry.h"
#include "writer.h"

/* Copies a record, and makes sure that its strings are NUL-terminated. */
static struct shm_tls_file
file_at(const struct shm *s, uint32_t i)
{
    struct shm_tls_file f = s->tls_files[i];

    f.file[sizeof f.file - 1] = '\0';
    f.name[sizeof f.name - 1] = '\0';
    f.serial[sizeof f.serial - 1] = '\0';
    f.type[sizeof f.type - 1] = '\0';
    return f;
}

static uint32_t
files(const struct shm *s)
{
    return s->tls_files_n < SHM_TLS_FILES ? s->tls_files_n : SHM_TLS_FILES;
}

/* What ends, for a sentence. */
static const char *
kind_of(const struct shm_tls_file *f)
{
    if (strcmp(f->type, "CRL") == 0)
        return "revocation list";
    if (strcmp(f->type, "chain") == 0)
        return "intermediate certificate ";
    if (strcmp(f->type, "authority") == 0)
        return "certificate of the authority ";
    return "certificate";
}

void
report_tls_problems(
    const struct shm *s, const struct config *c, report_say *say, void *ctx)
{
    int64_t now = (int64_t)(clock_wall_ms() / 1000);

    for (uint32_t i = 0; i < files(s); i++) {
        struct shm_tls_file f = file_at(s, i);
        const char         *kind = kind_of(&f);
        /* A file may hold several of these. */
        const char *name = kind[strlen(kind) - 1] == ' ' ? f.name : "";
        if (f.not_after < now)
            say(ctx, "%s: the %s%s has expired", f.file, kind, name);
        else if (f.not_after - now < (int64_t)(c->tls_expiry_warning / 1000))
            say(ctx, "%s: the %s%s expires in %" PRId64 " days", f.file, kind,
                name, (f.not_after - now) / 86400);
    }
}

/* Calls each(), if it is not NULL, for identities whose certificate ends before
 * `until`; returns their number. */
static unsigned
each_expiring(const struct shm *s, uint64_t until,
    void (*each)(void *ctx, const struct registry_entry *e, uint64_t end),
    void *ctx)
{
    struct registry *r = shm_registry(s);
    unsigned         n = 0;

    for (uint32_t i = 0; i < registry_used(r); i++) {
        struct registry_entry e;
        unsigned              profile;
        uint32_t              until_unit;
        registry_certificate(r, i, &profile, &until_unit);
        if (until_unit == 0 || (uint64_t)until_unit * REGISTRY_END_S >= until ||
            (each != NULL && !registry_copy(r, i, &e)))
            continue;
        if (each != NULL)
            each(ctx, &e, (uint64_t)until_unit * REGISTRY_END_S);
        n++;
    }
    return n;
}

unsigned
report_tls_expiring(const struct shm *s, uint64_t ms)
{
    return each_expiring(s, (clock_wall_ms() + ms) / 1000, NULL, NULL);
}

static void
put_json(void *ctx, const struct registry_entry *e, uint64_t end)
{
    char text[CLOCK_RFC3339_LEN + 1];

    writer_open(ctx, NULL, '{');
    writer_strn(ctx, "identity", e->name, e->name_len);
    clock_rfc3339(text, end * 1000);
    writer_str(ctx, "notAfter", text);
    writer_bool(ctx, "online", e->owner != 0);
    writer_close(ctx);
}

static void
put_text(void *ctx, const struct registry_entry *e, uint64_t end)
{
    buf_adds(ctx, "  ");
    when_put(ctx, end);
    buf_addc(ctx, ' ');
    for (unsigned i = 0; i < e->name_len; i++) {
        char ch = e->name[i];
        if ((unsigned char)ch < 0x20 || ch == 0x7f)
            ch = '?';
        buf_addc(ctx, ch);
    }
    buf_addc(ctx, '\n');
}

void
report_tls(struct writer *w, const struct shm *s, uint64_t expiring_ms)
{
    struct stats sum;
    char         text[CLOCK_RFC3339_LEN + 1];
    uint64_t     now = clock_wall_ms();

    shm_sum(s, &sum);
    writer_open(w, "files", '[');
    for (uint32_t i = 0; i < files(s); i++) {
        struct shm_tls_file f = file_at(s, i);
        writer_open(w, NULL, '{');
        writer_str(w, "file", f.file);
        writer_str(w, "type", f.type);
        writer_str(w, "name", f.name);
        writer_str(w, "serialNumber", f.serial);
        clock_rfc3339(text, (uint64_t)f.not_after * 1000);
        writer_str(w, "notAfter", text);
        writer_i64(
            w, "daysLeft", (f.not_after - (int64_t)(now / 1000)) / 86400);
        writer_close(w);
    }
    writer_close(w);
    writer_u64(w, "handshakesInFlight", stat_get(&sum.tls_in_flight));
    writer_open(w, "handshakes", '{');
    for (int i = 0; i < TLS_SUITES; i++)
        if (stat_get(&sum.tls_handshakes[i]) > 0)
            writer_u64(w, tls_suite_name((enum tls_suite)i),
                stat_get(&sum.tls_handshakes[i]));
    writer_close(w);
    writer_open(w, "connections", '{');
    for (int i = 0; i < TLS_SUITES; i++)
        if (stat_get(&sum.tls_connections[i]) > 0)
            writer_u64(w, tls_suite_name((enum tls_suite)i),
                stat_get(&sum.tls_connections[i]));
    writer_close(w);
    writer_u64(w, "resumed", stat_get(&sum.tls_resumed));
    writer_open(w, "alertsReceived", '{');
    for (int i = 0; i < TLS_ALERTS; i++)
        if (stat_get(&sum.tls_alerts_received[i]) > 0)
            writer_u64(w, tls_alert_word((enum tls_alert)i),
                stat_get(&sum.tls_alerts_received[i]));
    writer_close(w);
    writer_open(w, "failures", '{');
    for (int i = 0; i < TLS_REASONS; i++)
        if (stat_get(&sum.tls_failures[i]) > 0)
            writer_u64(w, tls_reason_word((enum tls_reason)i),
                stat_get(&sum.tls_failures[i]));
    writer_close(w);
    if (s->tickets.n > 0)
        writer_u64(
            w, "ticketKeyAgeSeconds", (now - s->tickets.since_ms) / 1000);
    else
        writer_null(w, "ticketKeyAgeSeconds");
    writer_open(w, "expiring", '[');
    if (expiring_ms > 0)
        each_expiring(s, (now + expiring_ms) / 1000, put_json, w);
    writer_close(w);
}

void
report_tls_text(struct buf *out, const struct shm *s, uint64_t expiring_ms)
{
    struct stats sum;
    uint64_t     now = clock_wall_ms();

    shm_sum(s, &sum);
    if (s->tls_loaded_ms == 0)
        buf_adds(out, "TLS is not configured (server.listen_tls)\n");
    for (uint32_t i = 0; i < files(s); i++) {
        struct shm_tls_file f = file_at(s, i);
        buf_addf(out, "%-9s  %-24s  until ", f.type, f.name);
        when_put(out, f.not_after > 0 ? (uint64_t)f.not_after : 0);
        buf_addf(out, "  %" PRId64 " days  %s\n",
            (f.not_after - (int64_t)(now / 1000)) / 86400, f.file);
    }
    if (s->tickets.n > 0)
        buf_addf(out, "ticket keys are %" PRIu64 " s old\n",
            (now - s->tickets.since_ms) / 1000);
    for (int i = 0; i < TLS_SUITES; i++)
        if (stat_get(&sum.tls_handshakes[i]) > 0)
            buf_addf(out,
                "%10" PRIu64 " handshakes with %s, %" PRIu64
                " connections open\n",
                stat_get(&sum.tls_handshakes[i]),
                tls_suite_name((enum tls_suite)i),
                stat_get(&sum.tls_connections[i]));
    for (int i = 0; i < TLS_ALERTS; i++)
        if (stat_get(&sum.tls_alerts_received[i]) > 0)
            buf_addf(out, "%10" PRIu64 " alerts received: %s\n",
                stat_get(&sum.tls_alerts_received[i]),
                tls_alert_word((enum tls_alert)i));
    for (int i = 0; i < TLS_REASONS; i++)
        if (stat_get(&sum.tls_failures[i]) > 0)
            buf_addf(out, "%10" PRIu64 " failed: %s: %s\n%11sremedy: %s\n",
                stat_get(&sum.tls_failures[i]),
                tls_reason_word((enum tls_reason)i),
                tls_reason_sentence((enum tls_reason)i), "",
                tls_reason_remedy((enum tls_reason)i));
    if (expiring_ms > 0 &&
        each_expiring(s, (now + expiring_ms) / 1000, put_text, out) == 0)
        buf_adds(out, "no client certificate ends within this time\n");
}
