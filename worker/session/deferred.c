/* deferred: what may leave only when an event is durable. See deferred.h. */
#include "session/deferred.h"

#include <stdlib.h>
#include <string.h>

#include "base/master_link.h"
#include "base/self.h"
#include "clock.h"
#include "session/tap.h"

static struct deferred  *first;
static struct deferred **last = &first;

static struct deferred *
add(uint64_t number, const char *text, size_t len)
{
    struct deferred *d = malloc(sizeof *d + len);

    if (d == NULL)
        return NULL;
    *d = (struct deferred){.number = number, .len = (uint32_t)len};
    if (len > 0)
        memcpy(d->text, text, len);
    *last = d;
    last = &d->next;
    STAT_INC(self.st, answers_held);
    return d;
}

void
deferred_hold(struct conn *c)
{
    if (++c->session.unanswered >= HELD_PER_CONN)
        conn_pause(c, true);
}

void
deferred_unhold(struct conn *c)
{
    if (--c->session.unanswered == HELD_PER_CONN / 2)
        conn_pause(c, false);
}

bool
deferred_answer(uint64_t number, struct conn *c, uint32_t entry,
    uint64_t generation, const char *text, size_t len, size_t payload_len,
    uint64_t since_us, bool urgent, const struct deferred_effect *effect)
{
    struct deferred *d = add(number, text, len);

    if (d == NULL)
        return false;
    d->answer = true;
    d->urgent = urgent;
    d->entry = entry;
    d->generation = generation;
    d->since_us = since_us;
    d->payload_len = (uint32_t)payload_len;
    d->effect = *effect;
    if (c != NULL) {
        d->conn = c->self;
        deferred_hold(c);
    }
    return true;
}

const char *
deferred_payload(const struct deferred *d)
{
    return d->text + d->len - 1 - d->payload_len; /* [3,ID,PAYLOAD] */
}

bool
deferred_done(uint64_t number, uint64_t request, unsigned outcome,
    const char *body, size_t len)
{
    struct deferred *d = add(number, body, len);

    if (d == NULL)
        return false;
    d->request = request;
    d->outcome = outcome;
    return true;
}

bool
deferred_awaits(uint64_t request)
{
    for (const struct deferred *d = first; d != NULL; d = d->next)
        if (!d->answer && d->request == request)
            return true;
    return false;
}

static void
release_answer(const struct deferred *d, const struct deferred_calls *calls,
    uint64_t now_us)
{
    struct conn *c = d->conn ? conn_find(d->conn) : NULL;

    calls->durable(d);
    if (c == NULL)
        return;
    deferred_unhold(c);
    tap_frame(c, TAP_OUT, d->text, d->len, "committed");
    conn_send_text(c, d->text, d->len);
    histogram_add(&self.st->answer_time, now_us - d->since_us);
    calls->sent(c, &d->effect);
    conn_settle(c);
}

void
deferred_release(uint64_t number, const struct deferred_calls *calls)
{
    uint64_t now_us = clock_mono_ns() / 1000u;

    while (first != NULL && first->number <= number) {
        struct deferred *d = first;
        first = d->next;
        if (first == NULL)
            last = &first;
        STAT_DEC(self.st, answers_held);
        if (d->answer)
            release_answer(d, calls, now_us);
        else if (d->request != 0)
            master_link_done(d->request, d->outcome, d->text, d->len);
        free(d);
    }
}

void
deferred_late(uint64_t wait_ms, void (*late)(struct conn *c))
{
    for (struct deferred *d = first; d != NULL; d = d->next) {
        struct conn *c = d->urgent && d->conn ? conn_find(d->conn) : NULL;
        if (c == NULL || self.now_us - d->since_us < wait_ms * 1000)
            continue;
        late(c);
    }
}

bool
deferred_any(void)
{
    return first != NULL;
}

bool
deferred_has(const struct conn *c)
{
    for (const struct deferred *d = first; d != NULL; d = d->next)
        if (d->conn == c->self)
            return true;
    return false;
}
