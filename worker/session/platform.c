/* platform: CALLs that the platform answers. See platform.h. */
#include "session/platform.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session/answers.h"
#include "clock.h"
#include "fleet/claims.h"
#include "journal/journal.h"
#include "ocpp/dialect.h"
#include "ocpp/json.h"
#include "log.h"
#include "fleet/redis.h"
#include "base/self.h"
#include "session/tap.h"

#define BUCKETS 4096 /* a power of two */

struct waiting {
    struct waiting *next;  /* in its bucket */
    struct waiting *later; /* in order of time */
    uint64_t        token;
    uint64_t        number;
    uint64_t        since_us;
    uint32_t        since_ms;
    uint32_t        entry;
    cref            conn;
    bool            done; /* answered; freed when its time is over */
    const struct schema_message *m;
    struct deferred_start        start;
    size_t                       id_len, len;
    char id[6 * OCPPJ_ID_MAX + 3]; /* of the CALL, as it came */
    char payload[];                /* the fallback */
};

static struct waiting *bucket[BUCKETS];
static struct waiting *oldest, **newest = &oldest;
static uint64_t        drawn;
static struct buf      reply = {.max = CHANNEL_BODY_MAX};

bool
platform_wants(const struct conn *c, const struct schema_message *m)
{
    if (!redis_on() || !dialect_asks_platform(m))
        return false;
    const struct seat *s = claims_seat(c);
    return s != NULL && redis_ready(s->shard);
}

const char *
platform_token(void)
{
    static char text[128];

    snprintf(text, sizeof text, "%s/%s/%" PRIx64, claims_owner(),
        claims_incarnation(), drawn + 1);
    return text;
}

/* More than 36 characters cannot come here, each an escape at most. */
static void
set_id(struct waiting *w, const struct ocppj_frame *f)
{
    w->id_len = f->id_raw.len <= sizeof w->id ? f->id_raw.len : 0;
    memcpy(w->id, f->id_raw.p, w->id_len);
}

void
platform_wait(uint64_t number, struct conn *c, const struct ocppj_frame *f,
    const struct schema_message *m, const char *payload, size_t len,
    const struct deferred_start *start)
{
    struct waiting *w = calloc(1, sizeof *w + len);

    if (w == NULL)
        return; /* the charge point asks again */
    w->token = ++drawn;
    w->number = number;
    w->since_us = self.now_us;
    w->since_ms = self.now_ms;
    w->conn = c->self;
    w->entry = c->session.entry;
    w->m = m;
    if (start != NULL)
        w->start = *start;
    w->len = len;
    memcpy(w->payload, payload, len);
    set_id(w, f);
    struct waiting **b = &bucket[w->token & (BUCKETS - 1)];
    w->next = *b;
    *b = w;
    *newest = w;
    newest = &w->later;
    deferred_begin(c);
    STAT_INC(self.st, platform_waiting);
}

bool
platform_again(
    struct conn *c, const struct ocppj_frame *f, const uint64_t fingerprint[2])
{
    for (struct waiting *w = oldest; w != NULL; w = w->later) {
        if (w->done || w->entry != c->session.entry ||
            w->start.transaction_id == 0 ||
            w->start.fingerprint[0] != fingerprint[0] ||
            w->start.fingerprint[1] != fingerprint[1])
            continue;
        if (w->conn != c->self)
            deferred_begin(c); /* the count went with the former connection */
        w->conn = c->self;
        set_id(w, f);
        return true;
    }
    return false;
}

/* One answer leaves: the platform's, or the fallback. */
static void
answer(struct waiting *w, const char *payload, size_t len, bool platform)
{
    struct conn *c = conn_find(w->conn);
    int64_t      id;

    w->done = true;
    STAT_DEC(self.st, platform_waiting);
    if (c == NULL)
        return;
    deferred_end(c);
    if (platform) {
        STAT_INC(self.st, platform_answers);
        histogram_add(
            &self.st->platform_time, clock_mono_ns() / 1000u - w->since_us);
    } else {
        STAT_INC(self.st, platform_fallbacks);
    }
    if (w->start.transaction_id != 0 && answers_transaction(payload, len, &id))
        w->start.transaction_id = (int32_t)id;
    buf_clear(&reply);
    ocppj_put_result(
        &reply, (struct ocppj_span){w->id, w->id_len}, payload, len);
    if (w->m->event == EVENT_booted)
        answers_booted(c, payload, len);
    if (w->number > journal_committed()) {
        deferred_answer(w->number, c, reply.p, reply.len, w->since_us,
            w->start.transaction_id ? &w->start : NULL);
    } else {
        if (w->start.transaction_id != 0)
            registry_start_put(self.registry, c->session.entry,
                w->start.fingerprint, w->start.transaction_id);
        tap_frame(
            c, TAP_OUT, reply.p, reply.len, platform ? "platform" : "fallback");
        conn_send_text(c, reply.p, reply.len);
        histogram_add(
            &self.st->answer_time, clock_mono_ns() / 1000u - w->since_us);
    }
    conn_settle(c);
}

void
platform_answer(const char *token, const char *payload, size_t len)
{
    static struct json_token     tokens[16384];
    static struct json           tape = JSON_INIT(tokens, 16384);
    static struct schema_verdict v;
    const char                  *last = strrchr(token, '/');
    uint64_t                     n = last ? strtoull(last + 1, NULL, 16) : 0;
    struct waiting              *w = bucket[n & (BUCKETS - 1)];

    while (w != NULL && w->token != n)
        w = w->next;
    if (w == NULL || w->done ||
        strncmp(token, claims_owner(), strlen(claims_owner())) != 0) {
        STAT_INC(self.st, platform_refused);
        return;
    }
    bool good = json_scan(&tape, payload, len) && tape.deviations == 0 &&
        !tape.newline &&
        schema_check(w->m, SCHEMA_RESPONSE, &tape, 0, OCPPJ_STRICT, &v);
    if (!good) {
        STAT_INC(self.st, platform_refused);
        const struct registry_entry *e = registry_at(self.registry, w->entry);
        log_warn("the platform's answer to %.*s's %s cannot be used: %s%s%s",
            e->name_len, e->name, w->m->name,
            tape.count == 0 ? json_error_text(tape.error) : v.path,
            tape.count != 0 && v.path[0] ? ": " : "",
            tape.count == 0 ? ""
                : v.text[0] ? v.text
                            : "it must be plain JSON on one line");
        return;
    }
    answer(w, payload, len, true);
}

void
platform_tick(void)
{
    while (oldest != NULL &&
        self.now_ms - oldest->since_ms >= self.conf.ocpp_message_timeout) {
        struct waiting *w = oldest;
        if (!w->done)
            answer(w, w->payload, w->len, false);
        oldest = w->later;
        if (oldest == NULL)
            newest = &oldest;
        struct waiting **p = &bucket[w->token & (BUCKETS - 1)];
        while (*p != w)
            p = &(*p)->next;
        *p = w->next;
        free(w);
    }
}
