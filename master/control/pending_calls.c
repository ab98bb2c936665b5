/* pending_calls: the commands that have no outcome yet. See pending_calls.h. */
#include "control/pending_calls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/master.h"
#include "clock.h"
#include "control/last_outcomes.h"
#include "log.h"
#include "workers/slot.h"

#define LOOKS 10 /* how often a connection that has moved is looked up */

struct pending {
    struct pending             *next;
    struct pending_calls_waiter waiter; /* client 0: the client has its
                                           answer */
    unsigned slot;
    uint64_t began_ms;
    bool     lost;             /* its connection has moved; look_up() */
    unsigned looked;           /* how often it was looked up */
    bool     sent;             /* it was sent to a worker; otherwise it waits
                                  for one */
    struct channel_msg msg;    /* the datagram, sent or to be sent */
    char               body[]; /* msg.len bytes */
};

/* The list, in the order of arrival. */
static struct pending  *first;
static struct pending **last = &first;
static unsigned         count;
static size_t           bytes;

unsigned
pending_calls_count(void)
{
    return count;
}

unsigned
pending_calls_of(const char *identity, uint64_t *oldest_ms)
{
    uint64_t now = clock_mono_ms();
    unsigned n = 0;

    *oldest_ms = 0;
    for (struct pending *p = first; p != NULL; p = p->next)
        if (strcmp(channel_string(p->body, p->msg.len, 1), identity) == 0 &&
            n++ == 0)
            *oldest_ms = now - p->began_ms;
    return n;
}

bool
pending_calls_has(const char *command_id)
{
    for (struct pending *p = first; p != NULL; p = p->next)
        if (strcmp(p->body, command_id) == 0)
            return true;
    return false;
}

static enum pending_result
make(const struct pending_calls_waiter *waiter, unsigned slot, const char *body,
    size_t len, struct pending **out)
{
    if (pending_calls_has(body))
        return PENDING_DUPLICATE;
    if (count >= PENDING_MAX || bytes + len > PENDING_BYTES)
        return PENDING_FULL;
    struct pending *p = calloc(1, sizeof *p + len);
    if (p == NULL)
        return PENDING_NO_MEMORY;
    p->waiter = *waiter;
    p->began_ms = clock_mono_ms();
    p->slot = slot;
    p->msg.id = channel_next_id();
    p->msg.len = (uint32_t)len;
    memcpy(p->body, body, len);
    *out = p;
    return PENDING_OK;
}

static void
keep(struct pending *p)
{
    *last = p;
    last = &p->next;
    count++;
    bytes += p->msg.len;
}

static void
drop(struct pending **at)
{
    struct pending *p = *at;

    *at = p->next;
    if (last == &p->next)
        last = at;
    count--;
    bytes -= p->msg.len;
    free(p);
}

static bool
deliver(struct pending *p)
{
    p->sent = slot_send(p->slot, &p->msg, p->body, p->msg.len);
    return p->sent;
}

enum pending_result
pending_calls_call(const struct pending_calls_waiter *waiter, cref conn,
    uint64_t timeout_ms, const char *body, size_t len)
{
    struct pending     *p;
    enum pending_result r = make(waiter, cref_slot(conn), body, len, &p);

    if (r != PENDING_OK)
        return r;
    p->msg.type = CHANNEL_call;
    p->msg.conn = conn;
    p->msg.arg = timeout_ms;
    if (!deliver(p)) {
        free(p);
        return PENDING_BUSY;
    }
    keep(p);
    return PENDING_OK;
}

/* Chooses a slot that has or will have a worker: the given one, otherwise the
   next. */
static bool
find_slot(unsigned *slot)
{
    for (unsigned i = 0; i < master.slots; i++) {
        unsigned n = (*slot + i) % master.slots;
        if (slot_state(n) != SHM_WORKER_FAILED) {
            *slot = n;
            return true;
        }
    }
    return false;
}

enum pending_result
pending_calls_settle(const struct pending_calls_waiter *waiter, unsigned slot,
    enum outcome outcome, const char *body, size_t len)
{
    struct pending *p;

    if (!find_slot(&slot))
        return PENDING_NOBODY;
    enum pending_result r = make(waiter, slot, body, len, &p);
    if (r != PENDING_OK)
        return r;
    p->msg.type = CHANNEL_settle;
    p->msg.arg = outcome;
    if (slot_state(slot) == SHM_WORKER_READY)
        deliver(p); /* otherwise it is sent when the worker is ready, or by the
                       tick */
    keep(p);
    return PENDING_OK;
}

void
pending_calls_done(uint64_t id, uint64_t outcome, const char *json, size_t len)
{
    for (struct pending **at = &first; *at != NULL; at = &(*at)->next) {
        struct pending *p = *at;
        if (p->msg.id != id)
            continue;
        enum outcome o =
            outcome < OUTCOMES ? (enum outcome)outcome : OUTCOME_uncertain;
        /* After a crash the worker knows only that the command has ended. Its
         * JSON was reported before, and may still be kept. */
        size_t      n = 0;
        const char *known = len <= sizeof "{}" && strncmp(json, "{}", 2) == 0
            ? last_outcomes_find(p->body, &o, &n)
            : NULL;
        if (known != NULL) {
            json = known;
            len = n;
        } else {
            last_outcomes_put(p->body, o, json, len);
        }
        if (p->waiter.client != 0)
            p->waiter.done(p->waiter.client, o, p->body, json, len);
        drop(at);
        return;
    }
    log_warn("a worker ended command %" PRIu64 ", which is not pending", id);
}

void
pending_calls_recovered(uint64_t outcome, const char *body, size_t len)
{
    enum outcome o;
    size_t       n = strnlen(body, len);

    if (n == 0 || n + 1 >= len || outcome >= OUTCOMES ||
        last_outcomes_find(body, &o, &n) != NULL)
        return;
    n = strlen(body);
    /* An old outcome must not replace a newer one. */
    if (pending_calls_has(body) || !last_outcomes_full())
        last_outcomes_put(
            body, (enum outcome)outcome, body + n + 1, len - n - 1);
}

/* A connection that is moving has its former cref until it has arrived, so the
 * tick looks again. */
static void
look_up(struct pending *p)
{
    struct registry_entry e;
    const char           *identity = channel_string(p->body, p->msg.len, 1);
    struct registry      *r = shm_registry(master.shm);
    uint32_t              i = registry_peek(r, identity, strlen(identity));
    cref owner = i != REGISTRY_NONE && registry_copy(r, i, &e) ? e.owner : 0;

    if (owner != 0 && owner == p->msg.conn && p->looked < LOOKS)
        return;
    p->lost = false;
    if (owner == 0 || owner == p->msg.conn || p->looked >= LOOKS) {
        p->msg.type = CHANNEL_settle;
        p->msg.arg = OUTCOME_offline;
        p->msg.conn = 0;
    } else {
        p->msg.conn = owner;
        p->slot = cref_slot(owner);
    }
    deliver(p);
}

void
pending_calls_moved(uint64_t id)
{
    for (struct pending *p = first; p != NULL; p = p->next) {
        if (p->msg.id != id || !p->sent || p->msg.type != CHANNEL_call)
            continue;
        p->sent = false;
        p->lost = true;
        p->looked++;
        look_up(p);
        return;
    }
}

/* A worker need not settle a command whose outcome is known here. The worker
 * may be the heir of the one that has found the outcome in the journal. */
static bool
settled(const struct pending *p)
{
    enum outcome outcome;
    size_t       n;

    if (p->msg.type != CHANNEL_settle ||
        last_outcomes_find(p->body, &outcome, &n) == NULL)
        return false;
    pending_calls_done(p->msg.id, outcome, "{}", sizeof "{}");
    return true;
}

static void
deliver_waiting(unsigned slot)
{
    for (struct pending *p = first, *after; p != NULL; p = after) {
        after = p->next;
        if (!p->sent && !p->lost && p->slot == slot && !settled(p) &&
            !deliver(p))
            return; /* the tick tries again */
    }
}

void
pending_calls_worker_ready(unsigned slot)
{
    deliver_waiting(slot);
}

void
pending_calls_worker_gone(unsigned slot)
{
    unsigned lost = 0;

    for (struct pending *p = first; p != NULL; p = p->next) {
        if (p->slot != slot || !p->sent)
            continue;
        p->sent = false;
        if (p->msg.type == CHANNEL_call) {
            p->msg.type = CHANNEL_settle;
            p->msg.arg = OUTCOME_uncertain;
            p->msg.conn = 0;
            lost++;
        }
    }
    if (lost > 0)
        log_warn("worker %u: it had %u commands; its successor gives them "
                 "the outcome `uncertain`",
            slot, lost);
}

/* Called when a slot has failed. The outcome must follow the events in this
 * slot's journal, so it waits until an operator repairs the slot; the client is
 * answered now. */
void
pending_calls_worker_failed(unsigned slot)
{
    for (struct pending *p = first; p != NULL; p = p->next) {
        struct pending_calls_waiter w = p->waiter;
        if (p->slot != slot || w.client == 0)
            continue;
        p->waiter.client = 0;
        w.failed(w.client,
            "the worker that had the command stays down; "
            "whether the charge point executed it is uncertain, and the event "
            "command.response follows when the worker works again");
    }
}

void
pending_calls_tick(void)
{
    for (struct pending *p = first; p != NULL; p = p->next)
        if (p->lost) {
            p->looked++;
            look_up(p);
        }
    for (unsigned i = 0; i < master.slots; i++)
        if (slot_state(i) == SHM_WORKER_READY)
            deliver_waiting(i);
}

/* --- records ------------------------------------------------------------- */

uint64_t
pending_calls_next(uint64_t after, unsigned slot, uint64_t *client)
{
    struct pending *next = NULL;

    for (struct pending *p = first; p != NULL; p = p->next)
        if (p->msg.id > after && p->slot == slot &&
            (next == NULL || p->msg.id < next->msg.id))
            next = p;
    *client = next != NULL ? next->waiter.client : 0;
    return next != NULL ? next->msg.id : 0;
}

void
pending_calls_write(uint64_t id, struct buf *out)
{
    for (struct pending *p = first; p != NULL; p = p->next) {
        if (p->msg.id != id)
            continue;
        bool settle = p->msg.type == CHANNEL_settle;
        fields_begin(out, "pending");
        fields_put_u64(out, "id", id);
        fields_put_u64(out, "slot", p->slot);
        fields_put_u64(out, "sent", p->sent);
        if (p->waiter.client != 0)
            fields_put_u64(out, "client", p->waiter.client);
        fields_put_u64(out, "began_ms", p->began_ms);
        if (settle)
            fields_put_str(out, "settle",
                outcome_info[p->msg.arg < OUTCOMES ? p->msg.arg
                                                   : OUTCOME_uncertain]
                    .word);
        else
            fields_put_u64(out, "timeout_ms", p->msg.arg);
        fields_put_bytes(out, "body", p->body, p->msg.len);
        fields_end(out);
    }
}

/* Checks the strings, each with its NUL: the four that every version has, and
 * those added later.
 */
static bool
is_body(const struct field *b)
{
    unsigned n = 0;

    for (size_t i = 0; i < b->len; i++)
        n += b->value[i] == '\0';
    return n >= 4 && b->len <= CHANNEL_BODY_MAX && b->value[b->len - 1] == '\0';
}

bool
pending_calls_read(struct fields *f, const struct pending_calls_waiter *waiter)
{
    const struct field *body = fields_find(f, "body");
    uint64_t            id = fields_u64(f, "id", 0, UINT64_MAX);
    unsigned        slot = (unsigned)fields_u64(f, "slot", 0, CREF_SLOTS - 1);
    struct pending *p;

    if (id == 0 || body == NULL || !is_body(body) ||
        make(waiter, slot % master.slots, body->value, body->len, &p) !=
            PENDING_OK)
        return false;
    p->msg.id = id;
    p->sent = fields_bool(f, "sent", false);
    p->began_ms = fields_u64(f, "began_ms", p->began_ms, UINT64_MAX);
    if (fields_find(f, "settle") != NULL) {
        p->msg.type = CHANNEL_settle;
        p->msg.arg = outcome_by_word(fields_str(f, "settle", 64));
    } else {
        p->msg.type = CHANNEL_call;
        p->msg.arg = fields_u64(f, "timeout_ms", 0, UINT64_MAX);
        /* The command counts as sent, because only the worker that has it can
         * have the charge point. */
        p->sent = true;
    }
    keep(p);
    return true;
}
