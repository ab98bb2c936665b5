/* deferred: what may leave only when an event is durable. See deferred.h. */
#include "session/deferred.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "journal/journal.h"
#include "base/master_link.h"
#include "base/self.h"
#include "session/tap.h"

struct deferred_answer {
    struct deferred_answer *next;
    uint64_t                number;
    uint64_t                generation; /* of the connection, for start */
    cref                    conn;       /* an answer; 0 for an outcome */
    uint64_t                since_us;
    uint64_t                request;
    uint32_t                entry; /* of the registry, for start */
    uint32_t                len;
    unsigned                outcome;
    struct deferred_start   start; /* transaction_id 0: none */
    char                    text[];
};

static struct deferred_answer  *first;
static struct deferred_answer **last = &first;

static struct deferred_answer *
add(uint64_t number, const char *text, size_t len)
{
    struct deferred_answer *h = calloc(1, sizeof *h + len);

    if (h == NULL)
        return NULL;
    h->number = number;
    h->len = (uint32_t)len;
    if (len > 0)
        memcpy(h->text, text, len);
    *last = h;
    last = &h->next;
    STAT_INC(self.st, answers_held);
    return h;
}

void
deferred_begin(struct conn *c)
{
    if (++c->session.unanswered >= UNANSWERED_MAX)
        conn_pause(c, true);
}

void
deferred_end(struct conn *c)
{
    if (--c->session.unanswered == UNANSWERED_MAX / 2)
        conn_pause(c, false);
}

bool
deferred_answer(uint64_t number, struct conn *c, const char *text, size_t len,
    uint64_t since_us, const struct deferred_start *start)
{
    struct deferred_answer *h = add(number, text, len);

    if (h == NULL)
        return false;
    h->conn = c->self;
    h->entry = c->session.entry;
    h->generation = c->generation;
    h->since_us = since_us;
    if (start != NULL)
        h->start = *start;
    deferred_begin(c);
    return true;
}

bool
deferred_done(uint64_t number, uint64_t request, unsigned outcome,
    const char *body, size_t len)
{
    struct deferred_answer *h = add(number, body, len);

    if (h == NULL)
        return false;
    h->request = request;
    h->outcome = outcome;
    return true;
}

uint64_t
deferred_start_find(
    uint32_t entry, const uint64_t fingerprint[2], int32_t *transaction_id)
{
    for (const struct deferred_answer *h = first; h != NULL; h = h->next)
        if (h->start.transaction_id != 0 && h->entry == entry &&
            h->start.fingerprint[0] == fingerprint[0] &&
            h->start.fingerprint[1] == fingerprint[1]) {
            *transaction_id = h->start.transaction_id;
            return h->number;
        }
    return 0;
}

static void
release_answer(const struct deferred_answer *h, uint64_t now_us)
{
    struct conn *c = conn_find(h->conn);

    /* Remembered also if the charge point is gone, or on another worker by
     * now: it will ask again. Should that worker write at this very moment,
     * one of the two is forgotten; a pair of both matches nothing. */
    if (h->start.transaction_id != 0 &&
        registry_at(self.registry, h->entry)->generation >= h->generation)
        registry_start_put(self.registry, h->entry, h->start.fingerprint,
            h->start.transaction_id);
    if (c == NULL)
        return;
    deferred_end(c);
    tap_frame(c, TAP_OUT, h->text, h->len, "committed");
    conn_send_text(c, h->text, h->len);
    histogram_add(&self.st->answer_time, now_us - h->since_us);
    conn_settle(c);
}

void
deferred_release(uint64_t number)
{
    uint64_t now_us = clock_mono_ns() / 1000u;

    while (first != NULL && first->number <= number) {
        struct deferred_answer *h = first;
        first = h->next;
        if (first == NULL)
            last = &first;
        STAT_DEC(self.st, answers_held);
        if (h->conn != 0)
            release_answer(h, now_us);
        else if (h->request != 0)
            master_link_done(h->request, h->outcome, h->text, h->len);
        free(h);
    }
}
