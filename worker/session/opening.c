/* opening: the connections in their opening handshake. See opening.h. */
#include "session/opening.h"

#include <stddef.h>
#include <stdint.h>

#include "access/guard.h"
#include "array.h"
#include "base/self.h"
#include "net/tls_queue.h"
#include "session/handshake.h"

/* Indexes of the connections. handshake.place is the position of one, from 1
 * on. */
static uint32_t *all;
static size_t    n, cap;

void
opening_begin(struct conn *c)
{
    STAT_INC(self.st, handshaking);
    c->busy->handshake.place = 0;
    if (n == cap) {
        uint32_t *more = array_grow(all, &cap, sizeof *all);
        if (more == NULL)
            return;
        all = more;
    }
    all[n++] = conn_index(c);
    c->busy->handshake.place = (uint32_t)n;
}

void
opening_end(struct conn *c)
{
    uint32_t place = c->busy->handshake.place;

    STAT_DEC(self.st, handshaking);
    if (place == 0)
        return;
    uint32_t last = all[--n];
    all[place - 1] = last;
    conn_at(last)->busy->handshake.place = place;
    c->busy->handshake.place = 0;
}

/* --- the place for a new one ---------------------------------------------- */

/* Numbers for the choice; no client can use a prediction of them. */
static uint32_t
draw(void)
{
    static uint64_t x;

    x = x * 6364136223846793005u + 1442695040888963407u + self.now_us;
    return (uint32_t)(x >> 32);
}

static bool
waits_for_client(const struct conn *c)
{
    if (self.now_ms - c->opened_ms < OPENING_SILENT_MS)
        return false;
    if (c->kind == LISTENER_TLS && c->tls == 0)
        return tls_queue_is_silent(c);
    return !(c->flags & CONN_PAUSED); /* else the request is complete */
}

struct candidate {
    struct conn *c;
    uint64_t     of_address, of_network;
};

static bool
goes_before(const struct candidate *a, const struct candidate *b)
{
    if (a->of_address != b->of_address)
        return a->of_address > b->of_address;
    if (a->of_network != b->of_network)
        return a->of_network > b->of_network;
    return self.now_ms - a->c->opened_ms > self.now_ms - b->c->opened_ms;
}

bool
opening_displace(const struct conn *c, enum refuse_reason reason)
{
    struct candidate best = {NULL, 0, 0}, own;

    if (reason != REFUSE_handshakes_full && reason != REFUSE_crowded &&
        reason != REFUSE_crowded_prefix)
        return false;
    guard_in_handshake(c, &own.of_address, &own.of_network);
    for (size_t i = 0; i < OPENING_LOOKS && i < n; i++) {
        struct candidate x = {
            conn_at(all[n > OPENING_LOOKS ? draw() % n : i]), 0, 0};
        if (x.c == c || !waits_for_client(x.c) ||
            !guard_share_limit(c, x.c, reason))
            continue;
        guard_in_handshake(x.c, &x.of_address, &x.of_network);
        if (x.of_address >= own.of_address &&
            (best.c == NULL || goes_before(&x, &best)))
            best = x;
    }
    if (best.c == NULL)
        return false;
    bool before_tls = best.c->kind == LISTENER_TLS && best.c->tls == 0;
    handshake_refuse(best.c, reason, 0,
        "the request was not complete, and a new connection took the place");
    conn_settle(best.c);
    if (before_tls)
        conn_cut(best.c);
    return true;
}
