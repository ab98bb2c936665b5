/* session: a charge point that is connected to this worker. See session.h. */
#include "session/session.h"

#include "access/certificate.h"
#include "access/guard.h"
#include "address.h"
#include "base/master_link.h"
#include "base/self.h"
#include "clock.h"
#include "fleet/claims.h"
#include "journal/journal.h"
#include "log.h"
#include "printable.h"
#include "session/calls.h"
#include "session/former.h"
#include "session/opening.h"
#include "session/permits.h"
#include "session/publish.h"

/* After this many takeovers between different addresses, each within FLIP_S
 * seconds of the previous one, two charge points probably use the same
 * identity.
 */
#define FLIPS 3
#define FLIP_S 60

/* For session_end(): whether another worker has already published the end of
 * the session. */
static enum { BY_AGE, BURIED, NOT_BURIED } burial;

static struct registry_entry *
entry_of(const struct conn *c)
{
    return registry_at(self.registry, c->session.entry);
}

/* --- begin --------------------------------------------------------------- */

static void
publish_connected(
    struct conn *c, const struct registry_claim *claim, uint64_t former_seen)
{
    char                   from[ADDRESS_LEN], seen[CLOCK_RFC3339_LEN + 1];
    struct publish_subject subject = publish_subject(c);
    struct publish        *p = publish_begin(EVENT_connected, &subject);

    writer_open(&p->w, "payload", '{');
    address_text(from, c->busy->handshake.addr, c->busy->handshake.port);
    writer_str(&p->w, "remoteAddress", from);
    writer_str(&p->w, "subprotocol", dialects[c->session.protocol].name);
    certificate_put(&p->w, c);
    if (claim->former != 0) {
        address_text(from, claim->former_addr, claim->former_port);
        writer_open(&p->w, "replaced", '{');
        writer_str(&p->w, "remoteAddress", from);
        writer_u64(&p->w, "generation", claim->former_generation);
        clock_rfc3339(seen, former_seen * 1000);
        writer_str(&p->w, "lastSeen", seen);
        writer_close(&p->w);
    }
    writer_close(&p->w);
    publish_end(p);
}

/* Logs two addresses that keep replacing each other. */
static void
watch_conflict(struct conn *c, const struct registry_claim *claim)
{
    struct registry_entry *e = entry_of(c);
    uint32_t               now = (uint32_t)(self.wall_ms / 1000);
    char                   a[ADDRESS_LEN], b[ADDRESS_LEN];

    if (claim->former_addr[0] == c->busy->handshake.addr[0] &&
        claim->former_addr[1] == c->busy->handshake.addr[1])
        return;
    e->flips = now - e->flip_at <= FLIP_S ? e->flips + 1 : 1;
    e->flip_at = now;
    if (e->flips < FLIPS)
        return;
    e->flips = 0;
    address_text(a, claim->former_addr, claim->former_port);
    address_text(b, c->busy->handshake.addr, c->busy->handshake.port);
    struct publish_subject subject = publish_subject(c);
    log_warn("%.*s: %s and %s keep replacing each other; two charge points "
             "may use this identity",
        (int)subject.identity_len, subject.identity, a, b);
    struct publish *p = publish_begin(EVENT_conflict, &subject);
    writer_open(&p->w, "payload", '{');
    writer_open(&p->w, "remoteAddresses", '[');
    writer_str(&p->w, NULL, a);
    writer_str(&p->w, NULL, b);
    writer_close(&p->w);
    writer_close(&p->w);
    publish_end(p);
}

static void
log_opened(
    const struct conn *c, const char *identity, size_t len, bool replaces)
{
    char name[3 * IDENTITY_MAX + 1], from[ADDRESS_LEN];

    if (!log_wants(LOG_LEVEL_INFO))
        return;
    printable_percent(name, sizeof name, identity, len);
    address_text(from, c->busy->handshake.addr, c->busy->handshake.port);
    log_info("%s connected from %s, generation %llu, %s%s", name, from,
        (unsigned long long)c->generation, dialects[c->session.protocol].name,
        replaces ? ", replacing its former connection" : "");
}

enum registry_result
session_open(
    struct conn *c, const char *name, size_t len, enum dialect_number protocol)
{
    struct registry_claim claim;

    claims_before_claim();
    journal_expect(true);
    enum registry_result r = registry_claim(self.registry, name, len, self.slot,
        conn_index(c), &self.shm->sequence, c->busy->handshake.addr,
        c->busy->handshake.port, &claim);

    if (r != REGISTRY_OK) {
        journal_expect(false);
        return r;
    }
    uint64_t               now = self.wall_ms / 1000;
    struct registry_entry *e = registry_at(self.registry, claim.entry);
    uint64_t               former_seen = e->last_seen;
    c->self = claim.self;
    c->generation = claim.generation;
    c->session.entry = claim.entry;
    c->session.protocol = (uint8_t)protocol;
    permits_clear(c);
    c->state = CONN_OPEN;
    c->opened_ms = self.now_ms;
    c->session.opened_era = self.now_era;
    e->since = e->last_seen = (uint32_t)now;
    e->protocol = (uint8_t)protocol;
    opening_end(c);
    session_count(c, true);
    log_opened(c, name, len, claim.former != 0);

    certificate_opened(c);
    publish_connected(c, &claim, former_seen);
    claims_opened(c);
    if (claim.former == 0)
        return r;

    STAT_INC(self.st, takeovers);
    unsigned     slot = cref_slot(claim.former);
    struct conn *old = conn_find(claim.former);
    if (old != NULL) {
        burial = NOT_BURIED;
        session_end(old, CLOSE_replaced, NULL);
        burial = BY_AGE;
        conn_settle(old);
    } else if (slot != self.slot && slot < self.shm->slots) {
        struct shm_worker *w = shm_worker(self.shm, slot);
        /* A worker that has died cannot be notified, and its successor does
         * not know the session, so its end is published here. */
        if (w->pid != 0 && claim.former_generation >= w->born)
            master_link_takeover(
                claim.former, claim.entry, claim.former_generation);
        else if (claim.former_generation < w->journal_floor)
            session_bury(e, claim.former_generation, CLOSE_worker_died);
        /* The beginning of the session may be in no journal. The successor
         * reads the journal of its slot, and ends the session if it is
         * there. */
    }
    watch_conflict(c, &claim);
    return r;
}

void
session_leave_handshake(struct conn *c)
{
    c->state = CONN_CLOSING;
    c->opened_ms = self.now_ms;
    opening_end(c);
    STAT_INC(self.st, closing);
}

void
session_reject_version(struct conn *c)
{
    STAT_INC(self.st, closed[CLOSE_no_subprotocol]);
    session_leave_handshake(c);
    c->session.reason = CLOSE_no_subprotocol;
    frame_put_close(conn_out(c), &c->ws_bits,
        close_info[CLOSE_no_subprotocol].status,
        close_info[CLOSE_no_subprotocol].sentence);
}

/* --- end ----------------------------------------------------------------- */

static void
publish_disconnected(const struct publish_subject *subject,
    enum close_reason reason, int code, const struct conn *c)
{
    struct publish *p = publish_begin(EVENT_disconnected, subject);

    writer_open(&p->w, "payload", '{');
    writer_str(&p->w, "reason", close_info[reason].word);
    if (code != 0)
        writer_u64(&p->w, "code", (uint64_t)code);
    if (c != NULL) {
        writer_u64(&p->w, "durationMs", session_age_ms(c));
        writer_u64(&p->w, "messagesIn", c->session.messages_in);
        writer_u64(&p->w, "messagesOut", c->session.messages_out);
        if (c->session.rtt_ms != UINT16_MAX)
            writer_u64(&p->w, "pingMs", c->session.rtt_ms);
    }
    writer_close(&p->w);
    publish_end(p);
}

void
session_bury(const struct registry_entry *e, uint64_t generation,
    enum close_reason reason)
{
    struct publish_subject subject = {.generation = generation,
        .protocol = e->protocol < DIALECTS ? dialects[e->protocol].name : "",
        .entry1 = (uint32_t)(e - registry_at(self.registry, 0)) + 1};

    subject.identity = registry_name(self.registry,
        (uint32_t)(e - registry_at(self.registry, 0)), &subject.identity_len);
    publish_disconnected(&subject, reason, close_info[reason].status, NULL);
    STAT_INC(self.st, closed[reason]);
}

void
session_replaced_former(uint32_t entry, uint64_t generation)
{
    size_t      len;
    const char *name = registry_name(self.registry, entry, &len);

    if (former_ends(name, len, &generation))
        session_bury(
            registry_at(self.registry, entry), generation, CLOSE_worker_died);
}

/* The address is in the registry entry, which belongs to the newer connection
 * if this one was replaced. The generation shows whether it was. */
static void
log_ended(const struct conn *c, const struct publish_subject *subject,
    enum close_reason reason)
{
    struct registry_entry *e = entry_of(c);
    uint64_t               addr[2] = {e->addr[0], e->addr[1]};
    char                   name[3 * IDENTITY_MAX + 1], at[ADDRESS_LEN];
    bool mine = registry_owns(self.registry, c->session.entry, c->self);

    if (!log_wants(LOG_LEVEL_INFO))
        return;
    printable_percent(
        name, sizeof name, subject->identity, subject->identity_len);
    address_text(at, addr, e->port);
    log_info("%s disconnected%s%s, generation %llu, after %llu s: %s: %s", name,
        mine ? " from " : ", now connected from ", at,
        (unsigned long long)c->generation,
        (unsigned long long)session_age_ms(c) / 1000, close_info[reason].word,
        close_info[reason].sentence);
}

/* The generation of the claim in c->self. c->generation may be higher, because
 * Redis may have granted a higher one. */
static uint64_t
claimed_generation(const struct conn *c)
{
    const uint64_t low = (UINT64_C(1) << CREF_GENERATION_BITS) - 1;

    return c->generation - ((c->generation - c->self) & low);
}

/* True if the connection is older than this process, which is possible only if
 * it moved here from another slot. A worker that replaces such a connection
 * assumes that its process has died, and publishes its end. */
static bool
was_buried(const struct conn *c, enum close_reason reason)
{
    if (registry_owns(self.registry, c->session.entry, c->self))
        return false;
    return burial == BURIED ||
        (reason == CLOSE_replaced && burial == BY_AGE &&
            claimed_generation(c) < self.mem->born);
}

void
session_count(const struct conn *c, bool in)
{
    uint64_t n = in ? 1 : UINT64_MAX; /* adding UINT64_MAX subtracts one */

    STAT_ADD(self.st, connections, n);
    STAT_ADD(self.st, connections_by_version[c->session.protocol], n);
    if (c->session.charging)
        STAT_ADD(self.st, charging, n);
}

void
session_note_transaction(struct conn *c, bool under_way)
{
    if (c->session.charging == under_way)
        return;
    c->session.charging = under_way;
    if (under_way)
        STAT_INC(self.st, charging);
    else
        STAT_DEC(self.st, charging);
}

void
session_leave(struct conn *c, enum close_reason reason, int code)
{
    struct registry_entry *e = entry_of(c);
    struct publish_subject subject = publish_subject(c);

    calls_drop(c);
    claims_closed(c, reason);
    if (!was_buried(c, reason)) {
        publish_disconnected(&subject, reason, code, c);
        STAT_INC(self.st, closed[reason]);
    }
    session_count(c, false);
    STAT_INC(self.st, closing);
    log_ended(c, &subject, reason);
    if (reason == CLOSE_replaced)
        guard_leave(c); /* the newer connection counts instead of this one */
    if (registry_holds(self.registry, c->session.entry, c->self)) {
        e->closed_at = e->last_seen = (uint32_t)(self.wall_ms / 1000);
        e->close_reason = (uint8_t)reason;
        e->messages = c->session.messages_in;
        registry_release(self.registry, c->session.entry, c->self);
    } else {
        registry_mend(self.registry, c->session.entry);
    }
    c->state = CONN_CLOSING;
    c->session.reason = (uint8_t)reason;
    c->opened_ms = self.now_ms;
    conn_pause(c, false);
    conn_slow(c, false);
}

void
session_end(struct conn *c, enum close_reason reason, const char *why)
{
    if (c->state != CONN_OPEN)
        return;
    int code = close_info[reason].status;
    session_leave(c, reason, code);
    if (code == 0)
        conn_kill(c);
    else
        frame_put_close(conn_out(c), &c->ws_bits, code,
            why ? why : close_info[reason].sentence);
}

void
session_moved(struct conn *c)
{
    const struct registry_entry *e = entry_of(c);

    if (registry_owns(self.registry, c->session.entry, c->self))
        return;
    /* The worker that gave this connection away has died, and its successor has
     * released the entry: it still has this generation, but no owner. */
    bool dead = cref_make(0, 0, e->generation) == cref_make(0, 0, c->self);
    burial = dead ? BURIED : NOT_BURIED;
    session_end(c, dead ? CLOSE_not_moved : CLOSE_replaced, NULL);
    burial = BY_AGE;
}

void
session_broken(struct conn *c, enum close_reason reason)
{
    session_leave(c, reason, close_info[reason].status);
}

void
session_closed(struct conn *c, int status)
{
    if (c->state == CONN_OPEN)
        session_leave(c, CLOSE_peer_closed, status);
}

/* --- between ------------------------------------------------------------- */

bool
session_is_quiet(const struct conn *c)
{
    return c->session.unanswered == 0 &&
        (c->busy == NULL || c->busy->session.calls == NULL);
}

void
session_note(struct conn *c)
{
    struct registry_entry *e = entry_of(c);

    e->last_seen =
        (uint32_t)(self.wall_ms / 1000) - (self.now_ms - c->last_in_ms) / 1000;
    e->messages = c->session.messages_in;
}
