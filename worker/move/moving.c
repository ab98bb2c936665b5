/* moving: a connection as lines of text. See moving.h. */
#include "move/moving.h"

#include <string.h>

#include "access/certificate.h"
#include "access/guard.h"
#include "base/self.h"
#include "fleet/claim.h"
#include "fleet/claims.h"
#include "session/calls.h"
#include "session/deferred.h"
#include "session/handshake.h"
#include "session/opening.h"
#include "session/parked.h"
#include "session/platform.h"
#include "session/session.h"

/* Bytes of one connection's lines, without its buffers. */
#define RECORD_BYTES 8192

/* The most bytes of the connection's record. A byte of a buffer may be written
 * as three characters. */
size_t
moving_bytes(const struct conn *c)
{
    size_t n = 0;

    if (c->busy != NULL)
        n += c->busy->out.len + c->busy->tail.len + c->busy->handshake.in.len;
    if (c->ws != NULL)
        n += ws_bytes(c->ws);
    return RECORD_BYTES + 3 * n;
}

bool
moving_write(struct conn *c, struct buf *out)
{
    size_t at = out->len;

    fields_begin(out, "conn");
    bool good = conn_write(c, out);
    session_write(c, out);
    guard_write(c, out);
    if (c->state == CONN_OPEN)
        claims_write(c, out);
    fields_end(out);
    if (c->state == CONN_OPEN) {
        calls_write(c, out);
        parked_write(c, out);
    }
    if (good && !out->overflow)
        return true;
    explicit_bzero(out->p + at, out->len - at);
    out->len = at;
    out->overflow = false;
    return false;
}

static void
count(struct conn *c)
{
    if (c->state == CONN_HANDSHAKE)
        opening_begin(c);
    else if (c->state == CONN_OPEN)
        session_count(c, true);
    else
        STAT_INC(self.st, closing);
}

/* Sets the owner word to the connection's new cref. If a newer connection owns
 * the entry, this one has lost it, and its session ends as replaced.
 */
static void
take_ownership(struct conn *c, cref former, bool same)
{
    uint32_t entry = c->session.entry;
    uint64_t generation = registry_at(self.registry, entry)->generation;

    c->self = cref_make(self.slot, conn_index(c), former);
    bool current = cref_make(0, 0, generation) == cref_make(0, 0, former);
    if (current && (c->self != former || !same))
        registry_adopt(self.registry, entry, generation, same ? former : 0,
            self.slot, conn_index(c));
    if (c->self != former)
        platform_rename(former, c->self);
}

/* Ends the session of an entry whose connection did not arrive. */
static void
end_session(uint32_t entry, cref former, uint64_t generation)
{
    if (registry_release(self.registry, entry, former))
        session_bury(
            registry_at(self.registry, entry), generation, CLOSE_not_moved);
}

struct conn *
moving_read(struct fields *f, int fd, bool same, uint32_t entry)
{
    cref         former = fields_u64(f, "self", 0, UINT64_MAX);
    struct conn *c = conn_read(f, fd);
    uint64_t     addr[2] = {0, 0};

    if (c == NULL)
        return NULL;
    bool good = session_read(c, f) && (c->state != CONN_OPEN || former != 0) &&
        (same || c->state != CONN_OPEN || entry == c->session.entry);
    if (!good) {
        conn_forget(c);
        return NULL;
    }
    if (c->state == CONN_HANDSHAKE) {
        memcpy(addr, c->busy->handshake.addr, sizeof addr);
    } else if (c->state == CONN_OPEN) {
        struct registry_entry *e = registry_at(self.registry, c->session.entry);
        addr[0] = e->addr[0];
        addr[1] = e->addr[1];
        take_ownership(c, former, same);
    }
    count(c);
    if (guard_read(c, f, addr) && claims_read(c, f) && f->bad == NULL)
        return c;
    uint32_t at = c->session.entry;
    uint64_t generation = c->generation;
    cref     name = c->self;
    bool     open = c->state == CONN_OPEN;
    moving_forget(c);
    if (open)
        end_session(at, name, generation);
    return NULL;
}

bool
moving_read_part(struct conn *c, struct fields *f)
{
    return calls_read(c, f) || parked_read(c, f);
}

void
moving_arrived(struct conn *c)
{
    STAT_INC(self.st, moved);
    claims_arrived(c);
    if (c->state == CONN_HANDSHAKE)
        handshake_inherited(c);
    else if (c->state == CONN_OPEN)
        session_moved(c);
    calls_pump(c);
    conn_settle(c);
}

void
moving_forget(struct conn *c)
{
    if (c->state == CONN_OPEN) {
        calls_forget(c);
        parked_forget(c);
        claims_forget(c);
        session_count(c, false);
    } else if (c->state == CONN_HANDSHAKE) {
        opening_end(c);
    } else {
        STAT_DEC(self.st, closing);
    }
    guard_leave(c);
    certificate_forget(c);
    conn_forget(c);
}

bool
moving_is_free(const struct conn *c)
{
    /* A connection with commands stays in the slot whose journal has their
     * command.sent: if that slot's worker dies, its successor ends the commands
     * without an outcome. */
    return c->state == CONN_OPEN && c->session.unanswered == 0 &&
        (c->busy == NULL || c->busy->session.calls == NULL) &&
        claim_is_quiet(c) && !calls_announced(c) && !deferred_has(c) &&
        !platform_has(c);
}
