/* answers: what the gateway answers to the CALLs of charge points. See
 * answers.h. */
#include "session/answers.h"

#include <inttypes.h>

#include "access/certificate.h"
#include "base/self.h"
#include "clock.h"
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
#include "session/decision.h"
#include "session/deferred.h"
#include "session/models.h"
#include "session/parked.h"
#include "session/permits.h"
#include "session/platform.h"
#include "session/publish.h"
#include "session/session.h"
#include "session/tap.h"
#include "session/violation.h"

/* The parked CALL that is being handled again. */
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
 * BootNotifications and the messages that the CSMS has asked for (2.0.1 B02 and
 * B03).
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

/* Checks the payload against its schema; false if the CALL was refused. */
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

/* --- the CALL ------------------------------------------------------------ */

static void
say_in(const struct answer *a, const char *note)
{
    tap_frame(a->c, TAP_IN, a->tape->text, a->tape->len, note);
}

/* Keeps a CALL that cannot be answered now. */
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
        journal
            ? "waits until the journal accepts its event"
            : "waits until it is known whether this message was sent before");
    if (!parked_put(a->c, a->tape->text, a->tape->len, a->resolved_ms, journal))
        session_end(a->c, CLOSE_journal_stalled, NULL);
}

/* Called if the journal does not accept the event of the CALL. */
static void
not_taken(struct answer *a)
{
    if (publish_too_long())
        refuse(a->c, a->f, a->tape, OCPPJ_INTERNAL_ERROR, "too_long",
            "the event of this message is longer than the journal accepts");
    else if (answer_is_urgent(a) && a->subject.identity != registry_no_name)
        park(a, true);
    else if (taking == NULL)
        say_in(a, "not answered: the journal does not accept its event");
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

    if (q == NULL) { /* the question has ended in the meantime, so the CALL is
                      * handled from the beginning */
        registry_start_drop(
            self.registry, a->entry, a->effect.fingerprint, a->after);
        park(a, false);
        return;
    }
    STAT_INC(self.st, starts_resent);
    say_in(a, "already waits for the answer of the platform");
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
    enum decision how = decision_of(a);

    if (taking == NULL)
        note_transaction(a);
    /* No CALL is sent to the charge point until its boot is answered. */
    if (a->m->event == EVENT_booted)
        a->c->session.boot = BOOT_WAITS;
    if (how == DECISION_ASK) {
        if (asking_ask(a)) {
            say_in(a, "the platform is asked");
            return;
        }
        how = decision_unasked(a);
    }
    switch (how) {
    case DECISION_NOW:
        answer_now(a);
        break;
    case DECISION_COMMITTED:
        answer_committed(a);
        break;
    case DECISION_ASK:
        break;
    case DECISION_ASKED:
        answer_asked(a);
        break;
    case DECISION_LATER:
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
            "the action does not exist in this OCPP version");
        return;
    }
    if (!(a.m->direction & SCHEMA_CP)) {
        refuse(c, f, tape, OCPPJ_NOT_SUPPORTED, "action",
            "the action is not sent by charge points");
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
    if (!answer_fits(&a)) {
        refuse(c, f, tape, OCPPJ_INTERNAL_ERROR, "too_long",
            "the answer to this message would be too long");
        return;
    }
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
    asking_tick();
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
     * sends the message again. The generation shows whether the entry still
     * belongs to the identity.
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

    answers_retry();
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
