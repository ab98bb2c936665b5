/* result: the result of an upgrade. See result.h. */
#include "upgrade/result.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/master.h"
#include "clock.h"
#include "control/control.h"
#include "writer.h"

static void
put_text(const struct result *r, struct buf *out)
{
    uint64_t now = clock_mono_ms();

    buf_addf(out, "%s has taken over from %s\n", master.shm->version,
        r->former[0] ? r->former : "the old program");
    for (unsigned i = 0; i < r->slots; i++)
        buf_addf(out,
            "worker %u: %" PRIu64 " connections moved, %" PRIu64
            " closed, %" PRIu64 " ms\n",
            i, r->slot[i].connections, r->slot[i].closed, r->slot[i].ms);
    buf_addf(out,
        "all: %" PRIu64 " connections moved, %" PRIu64 " closed; %" PRIu64
        " ms, during %" PRIu64 " ms of which no connection was accepted\n",
        r->connections, r->closed, now - r->began_ms, now - r->froze_ms);
}

static void
put_json(const struct result *r, struct buf *out)
{
    struct writer w = WRITER_INIT(out);
    uint64_t      now = clock_mono_ms();

    writer_open(&w, NULL, '{');
    writer_str(&w, "version", master.shm->version);
    writer_str(&w, "former", r->former);
    writer_i64(&w, "pid", getpid());
    writer_u64(&w, "connections", r->connections);
    writer_u64(&w, "closed", r->closed);
    writer_u64(&w, "tookMs", now - r->began_ms);
    writer_u64(&w, "frozenMs", now - r->froze_ms);
    writer_open(&w, "workers", '[');
    for (unsigned i = 0; i < r->slots; i++) {
        writer_open(&w, NULL, '{');
        writer_u64(&w, "worker", i);
        writer_u64(&w, "connections", r->slot[i].connections);
        writer_u64(&w, "closed", r->slot[i].closed);
        writer_u64(&w, "tookMs", r->slot[i].ms);
        writer_close(&w);
    }
    writer_close(&w);
    writer_close(&w);
    buf_addc(out, '\n');
}

void
result_answer(const struct result *r)
{
    bool     waits;
    uint64_t next;

    for (uint64_t id = 0; (next = control_next(id, &waits)) != 0; id = next) {
        struct client *c = control_client(next);
        struct buf     out = BUF_INIT(1 << 20);
        if (!waits || c->waits == NULL || strcmp(c->waits, "upgrade") != 0)
            continue;
        if (c->format == 'j')
            put_json(r, &out);
        else
            put_text(r, &out);
        control_reply_buf(c, CONTROL_DONE, &out);
        buf_free(&out);
    }
}

void
result_remember(const struct result *r)
{
    struct shm *s = master.shm;

    s->upgrades++;
    s->upgrade_wall_ms = clock_wall_ms();
    s->upgrade_took_ms = clock_mono_ms() - r->began_ms;
    s->upgrade_moved = r->connections;
    s->upgrade_closed = r->closed;
    s->upgrade_failed = false;
    snprintf(s->upgrade_words, sizeof s->upgrade_words, "from %s", r->former);
}

void
result_remember_failure(const struct result *r, const char *why)
{
    struct shm *s = master.shm;

    s->upgrades_failed++;
    s->upgrade_wall_ms = clock_wall_ms();
    s->upgrade_took_ms = clock_mono_ms() - r->began_ms;
    s->upgrade_moved = r->connections;
    s->upgrade_closed = r->closed;
    s->upgrade_failed = true;
    s->upgrading = false;
    snprintf(s->upgrade_words, sizeof s->upgrade_words, "%.*s",
        (int)sizeof s->upgrade_words - 1, why);
}
