/*
 * call: the CALLs of a charge point, and their answers.
 *
 * At most one CALL is in flight. This file chooses what is sent next: first the
 * boot, then the messages that the charge point's state requires, then the
 * outbox, then the others; the load if there is nothing else. See point.h.
 */
#include "point.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/ensure.h"
#include "ledger.h"
#include "txids.h"

/* Attempts to send a transaction message; an error counts as an attempt too. */
#define ATTEMPTS_MAX 5
#define ATTEMPT_PAUSE_S 2.0 /* multiplied by the number of attempts so far */

void
point_call_over(struct point *p)
{
    if (p->call == 0)
        return;
    p->call = 0;
    p->call_due = 0;
    p->call_kept = false;
    free(p->call_copy);
    p->call_copy = NULL;
    fleet.busy--;
}

static bool
is_free(const struct point *p)
{
    return p->link.state == LINK_OPEN && p->call == 0;
}

static void
message_id(uint32_t call, char out[24])
{
    snprintf(out, 24, "%08" PRIx32 ".%" PRIu32, fleet.nonce, call);
}

void
point_call(struct point *p, enum message m, const char *payload, size_t n,
    uint64_t meant_ns)
{
    static char frame[MESSAGE_MAX + 128];
    char        id[24];
    uint64_t    now = clock_mono_ns();

    ensure(is_free(p));
    mischief_garble(p);
    if (p->link.state != LINK_OPEN)
        return;
    p->call = ++p->last_call;
    message_id(p->call, id);
    int head =
        snprintf(frame, sizeof frame, "[2,\"%s\",\"%s\",", id, message_name(m));
    ensure(head > 0 && (size_t)head + n + 1 < sizeof frame);
    memcpy(frame + head, payload, n);
    frame[(size_t)head + n] = ']';
    p->call_action = (uint8_t)m;
    p->call_meant_ns = meant_ns ? meant_ns : now;
    p->call_due = fleet.tick + fleet_ticks(fleet.o->message_timeout);
    if (ledger_wanted() && !p->call_kept && m != MESSAGE_HEARTBEAT) {
        p->call_copy = strndup(payload, n);
        ensure(p->call_copy != NULL);
    }
    fleet.busy++;
    tally_add(fleet.tally, sent, 1);
    if (now > p->call_meant_ns && fleet.o->rate > 0 && !p->call_kept)
        histogram_add(&fleet.tally->lag, (now - p->call_meant_ns) / 1000u);
    link_send(&p->link, 1, frame, (size_t)head + n + 1);
    point_rearm(p);
}

void
point_queue(struct point *p, enum message m, const struct message_text *t,
    uint64_t meant_ns)
{
    outbox_push(&p->outbox, m, t, meant_ns);
    fleet.queued++;
}

static void
unqueue(struct point *p)
{
    outbox_pop(&p->outbox);
    fleet.queued--;
}

/* If a start was given up, the other messages of its transaction are never
 * sent. */
static void
give_up(struct point *p)
{
    struct outbox_item *i = p->outbox.head;

    tally_add(fleet.tally, undelivered, 1);
    fleet_complain("%s: %s given up after %u attempts: %.*s", point_identity(p),
        message_name(i->action), i->attempts, (int)i->n, i->payload);
    if (i->action == MESSAGE_START)
        p->transaction = 0;
    unqueue(p);
}

static bool
send_queued(struct point *p)
{
    struct outbox_item *i = p->outbox.head;

    while (i != NULL && i->open && p->transaction == 0) {
        give_up(p);
        i = p->outbox.head;
    }
    if (i == NULL || p->outbox_due > fleet.tick)
        return false;
    p->outbox_due = 0;
    if (i->open)
        outbox_fill(i, p->transaction);
    if (i->attempts++ > 0)
        tally_add(fleet.tally, resent, 1);
    if (i->meant_ns == 0)
        i->meant_ns = clock_mono_ns();
    p->call_kept = true;
    point_call(p, i->action, i->payload, i->n, i->meant_ns);
    return true;
}

void
point_settle(struct point *p)
{
    struct message_text t;
    enum message        m;

    if (!is_free(p) || fleet.phase == FLEET_QUIT)
        return;
    if (!(p->flags & POINT_BOOTED) && !(p->wants & WANT_BOOT))
        return; /* story.c decides when the next attempt to boot is made */
    if (!(p->wants &
            (WANT_BOOT | WANT_AUTHORIZE | WANT_STATUS_0 | WANT_STATUS_1)) &&
        p->outbox.head != NULL && send_queued(p))
        return;
    bool must_boot = (p->wants & WANT_BOOT) && p->outbox.head != NULL;
    if (p->wants != 0 && (fleet.phase < FLEET_DRAIN || must_boot)) {
        story_say(p, &t, &m);
        point_call(p, m, t.p, t.n, 0);
        return;
    }
    if (p->outbox.head != NULL) {
        send_queued(p);
        return;
    }
    fleet_ready(p);
}

static void
acknowledged(struct point *p, const struct message_verdict *v)
{
    enum message        m = p->call_action;
    struct outbox_item *i = p->call_kept ? p->outbox.head : NULL;
    uint64_t            run = atomic_load(&fleet.shared->run_ns);

    if (m == MESSAGE_START) {
        if (!txids_add(v->transaction)) {
            tally_add(fleet.tally, twin_transaction, 1);
            fleet_complain("%s: transaction id %" PRId32
                           " was given to another start",
                point_identity(p), v->transaction);
        }
        p->transaction = v->transaction;
    }
    if (ledger_wanted() && m != MESSAGE_HEARTBEAT) {
        char id[24];
        message_id(p->call, id);
        ledger_note(point_identity(p), m, id, i ? i->payload : p->call_copy,
            i ? i->n : strlen(p->call_copy),
            m == MESSAGE_START ? v->transaction : 0);
    }
    ledger_count(m);
    /* In a measured load, the boots of the ramp are not counted, nor are charge
     * points that are slow on purpose. */
    if (!(p->flags & POINT_SLOW) &&
        (!fleet.o->load || (run != 0 && p->call_meant_ns >= run)))
        histogram_add(&fleet.tally->latency,
            (clock_mono_ns() - p->call_meant_ns) / 1000u);
    p->failures = 0;
    if (i != NULL)
        unqueue(p);
}

/* Called if there was no answer, or an invalid one. A message that is kept is
 * sent again later. */
static void
not_acknowledged(struct point *p)
{
    if (p->call_kept) {
        struct outbox_item *i = p->outbox.head;
        if (i->attempts >= ATTEMPTS_MAX)
            give_up(p);
        else
            p->outbox_due =
                fleet.tick + fleet_ticks(ATTEMPT_PAUSE_S * i->attempts);
    }
    story_lost(p);
}

void
point_unanswered(struct point *p)
{
    tally_add(fleet.tally, missing, 1);
    fleet_complain(
        "%s: no answer to %s", point_identity(p), message_name(p->call_action));
    not_acknowledged(p);
    point_call_over(p);
}

/* Returns true if this is the answer to the CALL in flight; otherwise counts
 * the error. */
static bool
answers_call(
    struct point *p, const struct jsonspan_frame *f, const char *text, size_t n)
{
    char     id[24];
    char     copy[24];
    unsigned number, nonce;

    if (p->call != 0) {
        message_id(p->call, id);
        if (span_is(f->id, id))
            return true;
    }
    snprintf(copy, sizeof copy, "%.*s", (int)f->id.n, f->id.p);
    if ((f->id.n > 0 && f->id.p[0] == 'g') || (p->flags & POINT_GARBLED)) {
        tally_add(fleet.tally, garbage_answered, 1);
    } else if (sscanf(copy, "%8x.%u", &nonce, &number) == 2 &&
        nonce == fleet.nonce && number <= p->last_call) {
        tally_add(fleet.tally, late, 1);
    } else {
        tally_add(fleet.tally, wrong_id, 1);
        fleet_complain("%s: answer to no CALL in flight: %.*s",
            point_identity(p), n > 200 ? 200 : (int)n, text);
    }
    return false;
}

static void
answer(
    struct point *p, const struct jsonspan_frame *f, const char *text, size_t n)
{
    struct message_verdict v = {0};
    enum message           m = p->call_action;

    if (!answers_call(p, f, text, n))
        return;
    if (f->type == 4) {
        tally_add(fleet.tally, call_error, 1);
        v.wrong = "CALLERROR";
    } else {
        v = f->count == 1
            ? message_judge(m, (enum message_version)p->version, f->rest[0])
            : (struct message_verdict){.wrong = "no CALLRESULT"};
        if (v.wrong != NULL)
            tally_add(fleet.tally, wrong_shape, 1);
    }
    if (v.wrong != NULL) {
        fleet_complain("%s: %s: %s: %.*s", point_identity(p), message_name(m),
            v.wrong, n > 200 ? 200 : (int)n, text);
        not_acknowledged(p);
        point_call_over(p);
    } else {
        acknowledged(p, &v);
        point_call_over(p);
        story_answer(p, m, &v);
    }
    point_settle(p);
    point_rearm(p);
}

void
point_message(struct link *l, int opcode, const char *text, size_t n)
{
    struct point         *p = (struct point *)(void *)l;
    struct jsonspan_frame f;

    if (opcode >= 8)
        return;
    if (opcode != 1 || !jsonspan_frame(&f, text, n) || f.type < 2 ||
        f.type > 4 || (f.type == 2 && f.count != 2)) {
        if (p->flags & POINT_GARBLED) {
            tally_add(fleet.tally, garbage_answered, 1);
            return;
        }
        tally_add(fleet.tally, bad_frame, 1);
        fleet_complain("%s: not OCPP-J: %.*s", point_identity(p),
            n > 200 ? 200 : (int)n, text);
        return;
    }
    if (f.type == 2)
        command_handle(p, &f);
    else
        answer(p, &f, text, n);
}
