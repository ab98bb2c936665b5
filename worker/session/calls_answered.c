/* calls_answered: what the answer of a charge point to a CALL causes. See
 * calls.h. */
#include "session/calls_private.h"

#include <string.h>

#include "access/auth.h"
#include "base/self.h"
#include "journal_line.h"
#include "ocpp/dialect.h"
#include "ocpp/secrets.h"
#include "ocpp/tape.h"
#include "session/outcomes.h"
#include "session/permits.h"
#include "session/remote_starts.h"
#include "session/tap.h"
#include "session/violation.h"

#define ANSWER_KEPT ((size_t)256 << 10)

/* True if the charge point has accepted the command. */
static bool
accepted(const struct ocppj_frame *f, const struct json *tape)
{
    if (f->type == OCPPJ_CALLERROR)
        return false;
    return dialect_accepted(tape, f->payload_tok);
}

/* Permits the messages that the command asks for, which the charge point may
 * then send while its boot is Pending. */
static void
permit(const struct conn *c, const struct call *k)
{
    struct json *tape = tape_borrow(TAPE_MESSAGE);

    if (json_scan(tape, k->payload, strlen(k->payload)))
        permits_add(c, dialect_caused_by(tape, 0));
    tape_return(tape);
}

static bool
in_flight(const struct call *k, const struct ocppj_frame *f)
{
    return k != NULL && k->sent && strlen(k->id) == f->id_len &&
        memcmp(k->id, f->id, f->id_len) == 0;
}

/* Sends a CALLRESULTERROR for a CALLRESULT of OCPP 2.1 that cannot be used. */
static void
answer_result(struct conn *c, const struct ocppj_frame *f,
    enum ocppj_error code, const char *why)
{
    static struct buf     frame = {.max = 4096};
    const struct dialect *d = &dialects[c->session.protocol];

    if (!d->answers_results)
        return;
    buf_clear(&frame);
    ocppj_put_result_error(&frame, d->spelling, f->id_raw, code, why);
    STAT_INC(self.st, call_errors_sent[code]);
    tap_frame(c, TAP_OUT, frame.p, frame.len, "the answer cannot be used");
    conn_send_text(c, frame.p, frame.len);
}

/* Value tok of an answer, as valid JSON without secrets. A payload of null
 * becomes {}; tok 0 gives an empty span. */
static struct ocppj_span
repaired(struct buf *out, const struct ocppj_frame *f, const struct json *tape,
    uint32_t tok)
{
    if (tok == 0)
        return (struct ocppj_span){NULL, 0};
    buf_clear(out);
    if (tok == f->payload_tok && tape->tok[tok].type == JSON_NULL)
        buf_adds(out, "{}");
    else
        secrets_put(tape, tok, out);
    if (out->overflow) /* outcomes_finish() reports that it was cut */
        return (struct ocppj_span){NULL, 0};
    return (struct ocppj_span){out->p, out->len};
}

bool
calls_spoiled(
    struct conn *c, const struct ocppj_frame *f, const char *text, size_t len)
{
    struct call *k = c->busy ? c->busy->session.calls : NULL;

    if (k == NULL || !k->sent ||
        (!in_flight(k, f) && !ocppj_is_answer_of(text, len, k->id)))
        return false;
    calls_pop(c);
    if (f->type == OCPPJ_CALLRESULT)
        answer_result(c, f, OCPPJ_FORMATION_VIOLATION, f->why);
    outcomes_finish_plain(k, OUTCOME_error,
        ocppj_error_word(
            OCPPJ_FORMATION_VIOLATION, dialects[c->session.protocol].spelling),
        f->why);
    calls_pump(c);
    return true;
}

/* Gives back the memory of an unusually long answer. */
static void
keep_little(struct buf *b)
{
    if (b->cap > ANSWER_KEPT)
        buf_free(b);
}

void
calls_answered(
    struct conn *c, const struct ocppj_frame *f, const struct json *tape)
{
    static struct buf            payload = {.max = JOURNAL_LINE_MAX};
    static struct buf            description = {.max = JOURNAL_LINE_MAX};
    static struct buf            details = {.max = JOURNAL_LINE_MAX};
    static struct schema_verdict v;
    struct call                 *k = c->busy ? c->busy->session.calls : NULL;
    struct ocppj_span            none = {NULL, 0};

    if (!in_flight(k, f)) {
        STAT_INC(self.st, late_results);
        tap_frame(c, TAP_IN, tape->text, tape->len,
            "late: no command waits for this "
            "answer");
        violation_report(c, "late_result",
            "the answer does not belong to a "
            "CALL in flight",
            tape->text, tape->len);
        return;
    }
    tap_frame(c, TAP_IN, tape->text, tape->len, "command answered");
    histogram_add(
        &self.st->command_time, (uint64_t)(self.now_ms - k->sent_ms) * 1000);
    calls_pop(c);
    if (c->session.boot == BOOT_PENDING && k->m != NULL &&
        (k->m->flags & SCHEMA_TRIGGERS) && accepted(f, tape))
        permit(c, k);
    /* A charge point that must restart before it uses the key may connect with
     * an earlier new key until then, so that key stays valid. */
    if (f->type == OCPPJ_CALLERROR ||
        !dialect_accepted_later(tape, f->payload_tok))
        auth_command_ended(
            k->identity, k->action, k->payload, accepted(f, tape));
    if (!accepted(f, tape))
        remote_starts_refused(c->session.entry, k->action, k->command_id);
    if (f->type == OCPPJ_CALLERROR) {
        STAT_INC(self.st, call_errors_received[f->code]);
        outcomes_finish(k, OUTCOME_error, none, f->code_word,
            repaired(&description, f, tape, f->description_tok),
            repaired(&details, f, tape, f->details_tok));
    } else {
        if (self.conf.ocpp_validation != CONF_ocpp_validation_off &&
            k->m != NULL) {
            if (!schema_check(k->m, SCHEMA_RESPONSE, tape, f->payload_tok,
                    dialect_mode(), &v)) {
                violation_report(c, "result", v.text, tape->text, tape->len);
                k->violation = v.text;
                answer_result(c, f, v.code, v.text);
            }
            violation_count(c, v.deviations);
            k->deviations = v.deviations;
        }
        k->deviations |= f->deviations;
        outcomes_finish(k, OUTCOME_result,
            repaired(&payload, f, tape, f->payload_tok), none, none, none);
    }
    keep_little(&payload);
    keep_little(&description);
    keep_little(&details);
    calls_pump(c);
}
