/* answers: what the gateway answers to the CALLs of charge points. See
 * answers.h. */
#include "session/answers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "access/certificate.h"
#include "base/self.h"
#include "clock.h"
#include "fleet/redis.h"
#include "fleet/starts.h"
#include "journal/journal.h"
#include "log.h"
#include "ocpp/dialect.h"
#include "ocpp/event_kind.h"
#include "ocpp/tape.h"
#include "ocpp/transaction.h"
#include "session/answer.h"
#include "session/asking.h"
#include "session/calls.h"
#include "session/deferred.h"
#include "session/models.h"
#include "session/parked.h"
#include "session/permits.h"
#include "session/platform.h"
#include "session/publish.h"
#include "session/session.h"
#include "session/tap.h"
#include "session/transactions.h"
#include "session/violation.h"

/* See answers.h. */
enum answer_how {
    ANSWER_NOW,
    ANSWER_COMMITTED,
    ANSWER_ASK,
    ANSWER_ASKED,
    ANSWER_LATER
};

/* The parked CALL that is being taken again. */
static struct parked *taking;

/* --- refusals ------------------------------------------------------------ */

static void
refuse(struct conn *c, const struct ocppj_frame *f, const struct json *tape,
    enum ocppj_error code, const char *kind, const char *why)
{
    buf_clear(&answer_frame);
    ocppj_put_error(&answer_frame, dialects[c->session.protocol].spelling,
        f->id_raw, code, why, NULL, 0);
    tap_frame(c, TAP_IN, tape->text, tape->len, why);
    tap_frame(c, TAP_OUT, answer_frame.p, answer_frame.len, "refused");
    STAT_INC(self.st, call_errors_out);
    STAT_INC(self.st, call_errors_sent[code]);
    const struct schema_message *m = f->action.p == NULL
        ? NULL
        : schema_find(
              dialects[c->session.protocol].schema, f->action.p, f->action.len);
    if (m != NULL && schema_is_transactional(m))
        violation_report_whole(c, kind, why, tape->text, tape->len);
    else
        violation_report(c, kind, why, tape->text, tape->len);
    conn_send_text(c, answer_frame.p, answer_frame.len);
}

void
answers_refuse_unread(
    struct conn *c, const struct ocppj_frame *f, enum ocppj_error code)
{
    if (c->state != CONN_OPEN)
        return;
    buf_clear(&answer_frame);
    ocppj_put_error(&answer_frame, dialects[c->session.protocol].spelling,
        f->id_raw.p != NULL ? f->id_raw : OCPPJ_UNREADABLE_ID, code, f->why,
        NULL, 0);
    tap_frame(c, TAP_OUT, answer_frame.p, answer_frame.len, "refused");
    STAT_INC(self.st, call_errors_out);
    STAT_INC(self.st, call_errors_sent[code]);
    conn_send_text(c, answer_frame.p, answer_frame.len);
}

/* Until its boot is accepted, a charge point of OCPP 2.x may send only
 * BootNotifications and the messages that it was asked for (2.0.1 B02 and B03).
 */
static bool
too_early(const struct conn *c, const struct schema_message *m)
{
    if (!dialects[c->session.protocol].refuses_before_boot ||
        m->event == EVENT_booted)
        return false;
    return c->session.boot == BOOT_REJECTED ||
        (c->session.boot == BOOT_PENDING &&
            (permits_of(c) & dialect_caused(m)) == 0);
}

/* Checks payload against schema; false if it was refused. */
static bool
check(struct answer *a)
{
    static struct schema_verdict v;

    if (self.conf.ocpp_validation == CONF_ocpp_validation_off)
        return true;
    if (schema_check(a->m, SCHEMA_REQUEST, a->tape, a->f->payload_tok,
            dialect_mode(), &v)) {
        a->deviations |= v.deviations;
        if (taking == NULL)
            violation_count(a->c, v.deviations);
        return true;
    }
    refuse(a->c, a->f, a->tape, v.code, "payload", v.text);
    return false;
}

/* --- how a CALL is answered ---------------------------------------------- */

/* True if the platform must be asked about this start, or about its token. */
static bool
asks_about_start(struct answer *a)
{
    if (dialect_asks_platform(a->m))
        return true;
    if (a->m->event == EVENT_tx_stopped)
        return false; /* the verdict is optional in the answer to a stop */
    a->about_token = answer_asks_about_tokens(a) &&
        dialect_token(a->tape, a->f->payload_tok) != 0 &&
        !answer_find_verdict(a);
    return a->about_token;
}

static enum answer_how
decide_new_start(struct answer *a)
{
    if (asks_about_start(a)) {
        if (asking_possible(a))
            return ANSWER_ASK;
        a->about_token = false;
        a->by = "fallback";
    }
    return answer_alone(a) ? ANSWER_COMMITTED : ANSWER_LATER;
}

/* Redis has confirmed or replaced the proposed answer: gives that answer. */
static enum answer_how
decide_proposed_start(struct answer *a, const struct starts_reply *reply)
{
    if (dialect_asks_platform(a->m) ||
        (answer_asks_about_tokens(a) && !answer_find_verdict(a)))
        a->by = "fallback";
    a->about_token = false;
    answer_set_remembered(a, reply->answer, reply->len);
    return ANSWER_COMMITTED;
}

/* The start is unknown to this gateway. Another gateway may have answered
   it. */
static enum answer_how
decide_start_of_fleet(struct answer *a)
{
    static struct starts_reply reply;
    const char                *name = a->subject.identity;
    size_t                     len = a->subject.identity_len;
    bool                       asks = asks_about_start(a) && asking_possible(a);
    bool                       proposed = false;

    switch (starts_look(name, len, a->effect.fingerprint, &reply)) {
    case STARTS_NONE:
        if (!starts_possible(name, len))
            break;
        a->about_token = false;
        buf_clear(&answer_payload);
        if (!asks && !answer_alone(a))
            return ANSWER_LATER;
        if (starts_ask(name, len, a->effect.fingerprint, answer_payload.p,
                answer_payload.len))
            return ANSWER_LATER;
        break;
    case STARTS_PENDING:
        return ANSWER_LATER;
    case STARTS_NEW:
        if (reply.len == 0) /* the other gateway has asked the platform and has
                               no answer yet */
            return decide_new_start(a);
        return decide_proposed_start(a, &reply);
    case STARTS_DRAFT:
        /* The gateway that gave the answer may have died before its event was
         * durable, so this one makes an event too. Of two events with the same
         * answer only the first that is shipped enters the stream. */
        STAT_INC(self.st, starts_resent);
        a->about_token = false;
        answer_set_remembered(a, reply.answer, reply.len);
        return ANSWER_COMMITTED;
    case STARTS_KNOWN:
        STAT_INC(self.st, starts_resent);
        answer_set_payload(reply.answer, reply.len);
        return ANSWER_NOW;
    case STARTS_STOPPED:
        return decide_new_start(a); /* with a platform that answers */
    case STARTS_UNREACHABLE:
        proposed = reply.len > 0;
        break;
    }
    a->deviations |= DEVIATION_BIT(start_unchecked);
    violation_count(a->c, DEVIATION_BIT(start_unchecked));
    return proposed ? decide_proposed_start(a, &reply) : decide_new_start(a);
}

/* The start is known to this gateway. If the charge point was connected to
 * another gateway since, its transaction may have ended there. False while
 * Redis is being asked about that. */
static bool
find_end(struct answer *a, bool *ended)
{
    static struct starts_reply reply;
    const char                *name = a->subject.identity;
    size_t                     len = a->subject.identity_len;

    *ended = false;
    switch (starts_look(name, len, a->effect.fingerprint, &reply)) {
    case STARTS_NONE:
        return !starts_possible(name, len) ||
            !starts_ask(name, len, a->effect.fingerprint, "", 0);
    case STARTS_PENDING:
        return false;
    case STARTS_STOPPED:
        *ended = true;
        return true;
    default:
        return true;
    }
}

static enum answer_how
answer_known(struct answer *a, const struct registry_start *start)
{
    bool ended = false;

    if (redis_on() && a->m->event == EVENT_tx_started && !find_end(a, &ended))
        return ANSWER_LATER;
    if (ended) {
        registry_start_stop(self.registry, a->entry,
            answer_transaction(start->answer, start->len), start->number + 1);
        return ANSWER_LATER; /* its transaction has ended, so the start is a new
                                one */
    }
    STAT_INC(self.st, starts_resent);
    answer_set_payload(start->answer, start->len);
    return ANSWER_NOW;
}

static enum answer_how
decide_start(struct answer *a)
{
    struct registry_start start;

    transaction_fingerprint(transaction_kind(a->m->event), a->tape,
        a->f->payload_tok, a->effect.fingerprint);
    switch (transactions_find(
        a->entry, a->effect.fingerprint, &start, &a->resolved_ms)) {
    case TRANSACTION_KNOWN:
        return answer_known(a, &start);
    case TRANSACTION_WRITTEN:
        STAT_INC(self.st, starts_resent);
        answer_set_payload(start.answer, start.len);
        a->after = start.number;
        return ANSWER_COMMITTED;
    case TRANSACTION_ASKED:
        a->after = start.number;
        return ANSWER_ASKED;
    case TRANSACTION_UNSURE:
        return ANSWER_LATER;
    case TRANSACTION_NEW:
        break;
    }
    /* What the gateway itself answers to another message than a start is the
     * same at each gateway, so Redis is not asked about it. */
    return redis_on() &&
            (a->m->event == EVENT_tx_started || asks_about_start(a))
        ? decide_start_of_fleet(a)
        : decide_new_start(a);
}

static enum answer_how
decide(struct answer *a)
{
    a->by = "gateway";
    if (schema_is_remembered(a->m))
        return decide_start(a);
    if (a->kind != EVENT_none && dialect_asks_platform(a->m)) {
        if (asking_possible(a))
            return ANSWER_ASK;
        a->by = "fallback";
    }
    answer_alone(a);
    return a->kind == EVENT_none ||
            (a->kind == EVENT_heartbeat && !self.conf.ocpp_heartbeat_events)
        ? ANSWER_NOW
        : ANSWER_COMMITTED;
}

/* --- the CALL ------------------------------------------------------------ */

static void
say_in(const struct answer *a, const char *note)
{
    tap_frame(a->c, TAP_IN, a->tape->text, a->tape->len, note);
}

/* The CALL cannot be answered now. */
static void
park(struct answer *a, bool journal)
{
    if (taking != NULL) {
        taking->again = true;
        taking->resolved_ms = a->resolved_ms;
        taking->journal = journal;
        return;
    }
    say_in(a,
        journal ? "waits for the journal, which does not take it"
                : "waits until it is known whether it was sent before");
    if (!parked_put(a->c, a->tape->text, a->tape->len, a->resolved_ms, journal))
        session_end(a->c, CLOSE_journal_stalled, NULL);
}

/* The journal does not take the CALL's event. */
static void
not_taken(struct answer *a)
{
    if (publish_too_long())
        refuse(a->c, a->f, a->tape, OCPPJ_INTERNAL_ERROR, "too_long",
            "the event of this message is longer than the journal takes");
    else if (answer_is_urgent(a) && a->subject.identity != registry_no_name)
        park(a, true);
    else if (taking == NULL)
        say_in(a, "not answered: the journal does not take it");
}

static void
answer_now(struct answer *a)
{
    buf_clear(&answer_frame);
    ocppj_put_result(
        &answer_frame, a->f->id_raw, answer_payload.p, answer_payload.len);
    say_in(a, "answered");
    tap_frame(a->c, TAP_OUT, answer_frame.p, answer_frame.len, "answer");
    conn_send_text(a->c, answer_frame.p, answer_frame.len);
    histogram_add(&self.st->answer_time, clock_mono_ns() / 1000u - a->since_us);
}

static void
answer_committed(struct answer *a)
{
    if (a->after != 0) {
        say_in(a, "sent again before it was answered");
        buf_clear(&answer_frame);
        ocppj_put_result(
            &answer_frame, a->f->id_raw, answer_payload.p, answer_payload.len);
        deferred_answer(a->after, a->c, a->entry, a->subject.generation,
            answer_frame.p, answer_frame.len, answer_payload.len, a->since_us,
            answer_is_urgent(a), &(struct deferred_effect){0});
    } else if (answer_commit(a)) {
        say_in(a, event_info[a->kind].type);
    } else {
        not_taken(a);
    }
}

static void
answer_asked(struct answer *a)
{
    struct question *q = asking_find(a);

    if (q == NULL) { /* the question has ended meanwhile: handle the CALL from
                        the beginning */
        registry_start_drop(
            self.registry, a->entry, a->effect.fingerprint, a->after);
        park(a, false);
        return;
    }
    STAT_INC(self.st, starts_resent);
    say_in(a, "waits for the platform already");
    platform_replace(q, a->c, a->tape->text, a->tape->len);
}

static void
note_transaction(const struct answer *a)
{
    enum transaction_says says =
        transaction_says(a->kind, a->tape, a->f->payload_tok);

    if (says != TRANSACTION_SAYS_NOTHING)
        session_note_transaction(a->c, says == TRANSACTION_GOES_ON);
}

static void
take(struct answer *a)
{
    enum answer_how how = decide(a);

    if (taking == NULL)
        note_transaction(a);
    /* The charge point gets no CALL until the boot is answered. */
    if (a->m->event == EVENT_booted)
        a->c->session.boot = BOOT_WAITS;
    if (how == ANSWER_ASK) {
        if (asking_ask(a)) {
            say_in(a, "the platform is asked");
            return;
        }
        a->by = "fallback";
        how = answer_alone(a) ? ANSWER_COMMITTED : ANSWER_LATER;
    }
    switch (how) {
    case ANSWER_NOW:
        answer_now(a);
        break;
    case ANSWER_COMMITTED:
        answer_committed(a);
        break;
    case ANSWER_ASK:
        break;
    case ANSWER_ASKED:
        answer_asked(a);
        break;
    case ANSWER_LATER:
        park(a, false);
        break;
    }
}

void
answers_take(
    struct conn *c, const struct ocppj_frame *f, const struct json *tape)
{
    struct answer a = {.c = c,
        .subject = publish_subject(c),
        .entry = c->session.entry,
        .protocol = c->session.protocol,
        .f = f,
        .tape = tape,
        .deviations = f->deviations,
        .since_us = taking ? taking->since_us : self.now_us};

    if (f->action.p != NULL)
        a.m = schema_find(
            dialects[c->session.protocol].schema, f->action.p, f->action.len);
    /* A message about a transaction is accepted even if its frame is malformed:
     * after a CALLERROR the charge point would repeat it in vain and drop it.
     */
    if (f->verdict != OCPPJ_GOOD &&
        (f->payload_tok == 0 || a.m == NULL || !schema_is_transactional(a.m))) {
        refuse(c, f, tape, f->error, "malformed", f->why);
        return;
    }
    if (a.m == NULL) {
        refuse(c, f, tape, OCPPJ_NOT_IMPLEMENTED, "action",
            "the action is not one of this OCPP version");
        return;
    }
    if (!(a.m->direction & SCHEMA_CP)) {
        refuse(c, f, tape, OCPPJ_NOT_SUPPORTED, "action",
            "the action is not one that a charge point sends");
        return;
    }
    if (a.m->flags & SCHEMA_SEND) {
        refuse(c, f, tape, OCPPJ_MESSAGE_TYPE_NOT_SUPPORTED, "action",
            "the action is sent as a SEND, not as a CALL");
        return;
    }
    if (too_early(c, a.m)) {
        refuse(c, f, tape, OCPPJ_SECURITY_ERROR, "action",
            "the boot is not accepted yet");
        return;
    }
    if (taking == NULL) {
        STAT_INC(self.st, calls_in[a.m->action]);
        registry_at(self.registry, c->session.entry)->last_action =
            (uint8_t)(a.m->action + 1);
    } else {
        a.resolved_ms = taking->resolved_ms;
    }
    a.kind = event_kind_of(a.m, tape, f->payload_tok);
    if (!check(&a))
        return;
    if (a.m->event == EVENT_booted) {
        if (!certificate_booted(c, tape, f->payload_tok)) {
            session_end(c, CLOSE_certificate_name, NULL);
            return;
        }
        models_booted(c, tape, f->payload_tok);
    }
    take(&a);
}

static void
handle_again(struct conn *c, struct parked *p)
{
    struct ocppj_frame f;
    struct json *tape = answer_cut(c->session.protocol, p->frame, p->len, &f);

    taking = p;
    answers_take(c, &f, tape);
    taking = NULL;
    tape_return(tape);
}

void
answers_retry(void)
{
    parked_tick(handle_again);
}

/* --- after the commit ---------------------------------------------------- */

static void
end_transaction(const struct deferred *d)
{
    size_t      len;
    const char *name = registry_name(self.registry, d->entry, &len);

    registry_start_stop(
        self.registry, d->entry, d->effect.transaction, d->number);
    if (name != registry_no_name)
        starts_stopped(name, len, d->effect.transaction);
}

static void
durable(const struct deferred *d)
{
    const struct deferred_effect *e = &d->effect;

    /* This is done even if the charge point has left this worker, because it
     * sends its message again. The entry may belong to another identity by now.
     */
    if (e->remember &&
        registry_at(self.registry, d->entry)->generation >= d->generation)
        registry_start_know(self.registry, d->entry, e->kind, e->fingerprint,
            d->number, e->transaction, deferred_payload(d), d->payload_len);
    if (e->what == DEFERRED_STOP)
        end_transaction(d);
}

static void
sent(struct conn *c, const struct deferred_effect *e)
{
    if (e->what != DEFERRED_BOOT)
        return;
    c->session.boot = (uint8_t)e->boot;
    permits_clear(c);
    registry_at(self.registry, c->session.entry)->booted_at =
        (uint32_t)(self.wall_ms / 1000);
    calls_pump(c);
}

void
answers_committed(uint64_t number)
{
    static const struct deferred_calls calls = {durable, sent};

    deferred_release(number, &calls);
}

/* --- time ---------------------------------------------------------------- */

bool
answers_stalled(void)
{
    return journal_stalled_ms() >= self.conf.journal_stall_time;
}

static void
late(struct conn *c)
{
    session_end(c, CLOSE_journal_stalled, NULL);
    conn_settle(c);
}

void
answers_tick(void)
{
    static uint32_t second_ms;
    static bool     stalled;

    asking_tick();
    parked_tick(handle_again);
    if (self.now_ms - second_ms < 1000)
        return;
    second_ms = self.now_ms;
    parked_late(self.conf.journal_stall_time, late);
    if (answers_stalled() != stalled) {
        stalled = !stalled;
        if (stalled)
            log_error("the journal has taken no event for %" PRIu64
                      " s (journal.stall_time): charge points whose "
                      "transaction messages wait are disconnected, and none is "
                      "let in until it works again",
                journal_stalled_ms() / 1000);
        else
            log_warn("the journal takes events again: charge points are let "
                     "in");
    }
    if (stalled)
        deferred_late(self.conf.journal_stall_time, late);
}
