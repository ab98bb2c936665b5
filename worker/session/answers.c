/* answers: what the gateway answers to the CALLs of charge points. See
 * answers.h. */
#include "session/answers.h"

#include <stdio.h>
#include <string.h>

#include "access/certificate.h"
#include "session/platform.h"
#include "session/session.h"
#include "session/calls.h"
#include "clock.h"
#include "session/violation.h"
#include "session/deferred.h"
#include "log.h"
#include "ocpp/default_answer.h"
#include "ocpp/dialect.h"
#include "ocpp/event_kind.h"
#include "session/publish.h"
#include "journal_line.h"
#include "base/self.h"
#include "session/transactions.h"
#include "session/tap.h"

/* What answering one CALL needs. */
struct answer {
    struct conn              *c;
    const struct ocppj_frame *f;
    const struct json        *tape;
    struct writer             w;     /* the payload of the CALLRESULT */
    struct deferred_start     start; /* StartTransaction only */
    bool                      known; /* ... that was resent */
    uint64_t                  after; /* ... before event `after` is durable */
    bool                      none;  /* cannot be answered now */
    bool                      asked; /* the platform answers, perhaps */
};

static struct buf payload = {.max = 4096}; /* answers are ours, and short */
static struct buf reply = {.max = 8192};

/* --- the payload --------------------------------------------------------- */

/* The interval with jitter: the same for one charge point at each boot, so
 * that its heartbeat does not wander; different over the fleet. */
static uint64_t
heartbeat_interval_s(const struct conn *c)
{
    const struct registry_entry *e =
        registry_at(self.registry, c->session.entry);
    uint64_t base = self.conf.ocpp_heartbeat_interval / 1000;
    uint64_t span = base * self.conf.ocpp_heartbeat_jitter / 100;
    uint64_t s =
        base - span + registry_hash(e->name, e->name_len, 0) % (2 * span + 1);

    return s > 0 ? s : 1;
}

static void
booted(struct conn *c, enum boot boot)
{

    c->session.boot = (uint8_t)boot;
    registry_at(self.registry, c->session.entry)->booted_at =
        (uint32_t)(self.wall_ms / 1000);
}

/* The status that a BootNotification is answered with. */
static enum boot
boot_of(const char *status)
{
    return strcmp(status, "Accepted") == 0 ? BOOT_ACCEPTED
        : strcmp(status, "Pending") == 0   ? BOOT_PENDING
                                           : BOOT_REJECTED;
}

/* Finds or draws the id of a transaction that starts. */
static void
take_id(struct answer *a)
{
    transactions_fingerprint(a->tape, a->f->payload_tok, a->start.fingerprint);
    a->known = registry_start_find(self.registry, a->c->session.entry,
        a->start.fingerprint, &a->start.transaction_id);
    if (!a->known) {
        a->after = deferred_start_find(a->c->session.entry,
            a->start.fingerprint, &a->start.transaction_id);
        a->known = a->after != 0;
    }
    /* Another worker, or the one before, may have drawn an id and not have
     * made its event durable: then ours says the same once more. */
    if (!a->known &&
        (a->asked ||
            !registry_start_drafted(self.registry, a->c->session.entry,
                a->start.fingerprint, &a->start.transaction_id))) {
        if (!transactions_new_id(&a->start.transaction_id)) {
            a->none = true;
            return;
        }
        if (!a->asked)
            registry_start_draft(self.registry, a->c->session.entry,
                a->start.fingerprint, a->start.transaction_id);
    }
}

/* Writes what the gateway answers by itself. */
static void
write_payload(struct answer *a, const struct schema_message *m)
{
    char                  now[CLOCK_RFC3339_LEN + 1];
    struct default_answer in = {.m = m,
        .tape = a->tape,
        .payload = a->f->payload_tok,
        .status = dialect_status(m),
        .now = now,
        .transaction_id = a->start.transaction_id};

    if (m->flags & SCHEMA_ANSWERS_TIME)
        clock_rfc3339(now, self.wall_ms);
    if (m->flags & SCHEMA_ANSWERS_TOKEN)
        in.token_status =
            dialect_token_status(&dialects[a->c->session.protocol]);
    if (m->event == EVENT_booted)
        in.interval_s = heartbeat_interval_s(a->c);
    buf_clear(&payload);
    a->w = WRITER_INIT(&payload);
    writer_open(&a->w, NULL, '{');
    default_answer_put(&a->w, &in);
    writer_close(&a->w);
}

/* --- the CALL ------------------------------------------------------------ */

static void
refuse(struct conn *c, const struct ocppj_frame *f, const struct json *tape,
    enum ocppj_error code, const char *kind, const char *why)
{
    buf_clear(&reply);
    ocppj_put_error(&reply, dialects[c->session.protocol].spelling, f->id_raw,
        code, why, NULL, 0);
    tap_frame(c, TAP_IN, tape->text, tape->len, why);
    tap_frame(c, TAP_OUT, reply.p, reply.len, "refused");
    STAT_INC(self.st, call_errors_out);
    const struct schema_message *m = f->action.p == NULL
        ? NULL
        : schema_find(
              dialects[c->session.protocol].schema, f->action.p, f->action.len);
    if (m != NULL && schema_is_transactional(m))
        violation_report_whole(c, kind, why, tape->text, tape->len);
    else
        violation_report(c, kind, why, tape->text, tape->len);
    conn_send_text(c, reply.p, reply.len);
}

void
answers_refuse_unread(
    struct conn *c, const struct ocppj_frame *f, enum ocppj_error code)
{
    if (c->state != CONN_OPEN)
        return;
    buf_clear(&reply);
    ocppj_put_error(&reply, dialects[c->session.protocol].spelling,
        f->id_raw.p != NULL ? f->id_raw : OCPPJ_UNREADABLE_ID, code, f->why,
        NULL, 0);
    tap_frame(c, TAP_OUT, reply.p, reply.len, "refused");
    STAT_INC(self.st, call_errors_out);
    conn_send_text(c, reply.p, reply.len);
}

/* Until its boot is accepted, a charge point of OCPP 2.x sends nothing but
 * BootNotifications and what it was asked for (2.0.1 B02 and B03). */
static bool
too_early(const struct conn *c, const struct schema_message *m)
{
    return dialects[c->session.protocol].refuses_before_boot &&
        (c->session.boot == BOOT_PENDING || c->session.boot == BOOT_REJECTED) &&
        m->event != EVENT_booted;
}

/* Checks payload against schema; false if it was refused. */
static bool
check(struct conn *c, const struct ocppj_frame *f, const struct json *tape,
    const struct schema_message *m, uint64_t *deviations)
{
    static struct schema_verdict v;

    if (self.conf.ocpp_validation == CONF_ocpp_validation_off)
        return true;
    if (schema_check(
            m, SCHEMA_REQUEST, tape, f->payload_tok, dialect_mode(), &v)) {
        *deviations |= v.deviations;
        violation_count(v.deviations);
        return true;
    }
    refuse(c, f, tape, v.code, "payload", v.text);
    return false;
}

static uint64_t
publish(struct answer *a, enum event_kind kind, uint64_t deviations)
{
    struct publish_who who = publish_who(a->c);

    /* Nothing is acknowledged under no name: the sweep ends the connection,
     * and the charge point says it again. */
    if (who.identity == registry_nobody)
        return 0;
    struct publish *p = publish_begin(kind, &who);

    publish_call(p, a->f, a->tape);
    writer_raw(&p->w, "answer", payload.p, payload.len);
    if (a->asked)
        writer_str(&p->w, "replyToken", platform_token());
    violation_put(&p->w, deviations);
    return publish_end(p);
}

/* What a message becomes. */
static enum event_kind
event_of(const struct schema_message *m, const struct ocppj_frame *f,
    const struct json *tape, bool asked)
{
    if (m->event == EVENT_heartbeat && !self.conf.ocpp_heartbeat_events &&
        !asked)
        return EVENT_none;
    return event_kind_of(m, tape, f->payload_tok);
}

void
answers_take(
    struct conn *c, const struct ocppj_frame *f, const struct json *tape)
{
    struct answer a = {.c = c, .f = f, .tape = tape};

    if (f->verdict != OCPPJ_GOOD) {
        refuse(c, f, tape, f->error, "malformed", f->why);
        return;
    }
    const struct schema_message *m = schema_find(
        dialects[c->session.protocol].schema, f->action.p, f->action.len);
    if (m == NULL) {
        refuse(c, f, tape, OCPPJ_NOT_IMPLEMENTED, "action",
            "the action is not one of this OCPP version");
        return;
    }
    if (!(m->direction & SCHEMA_CP)) {
        refuse(c, f, tape, OCPPJ_NOT_SUPPORTED, "action",
            "the action is not one that a charge point sends");
        return;
    }
    if (m->flags & SCHEMA_SEND) {
        refuse(c, f, tape, OCPPJ_MESSAGE_TYPE_NOT_SUPPORTED, "action",
            "the action is sent as a SEND, not as a CALL");
        return;
    }
    if (too_early(c, m)) {
        refuse(c, f, tape, OCPPJ_SECURITY_ERROR, "action",
            "the boot is not accepted yet");
        return;
    }
    STAT_INC(self.st, calls_in[m->action]);
    registry_at(self.registry, c->session.entry)->last_action =
        (uint8_t)(m->action + 1);
    uint64_t deviations = f->deviations;
    if (!check(c, f, tape, m, &deviations))
        return;

    bool starts = m->event == EVENT_tx_started;
    bool boots = m->event == EVENT_booted;
    if (boots && !certificate_booted(c, tape, f->payload_tok)) {
        session_end(c, CLOSE_certificate_name, NULL);
        return;
    }
    a.asked = platform_wants(c, m);
    if (starts)
        take_id(&a);
    if (a.none)
        return; /* said in the log; the charge point will ask again */
    if (boots && !a.asked)
        booted(c, boot_of(dialect_status(m)));
    write_payload(&a, m);

    buf_clear(&reply);
    ocppj_put_result(&reply, f->id_raw, payload.p, payload.len);

    enum event_kind kind = event_of(m, f, tape, a.asked);
    if (a.known) {
        STAT_INC(self.st, starts_resent);
        kind = EVENTS;
    } else if (a.asked && starts && platform_again(c, f, a.start.fingerprint)) {
        STAT_INC(self.st, starts_resent);
        tap_frame(
            c, TAP_IN, tape->text, tape->len, "waits for the platform already");
        return;
    }
    if (a.after != 0) {
        tap_frame(c, TAP_IN, tape->text, tape->len, "resent before its answer");
        deferred_answer(a.after, c, reply.p, reply.len, self.now_us, NULL);
    } else if (kind == EVENTS) {
        tap_frame(c, TAP_IN, tape->text, tape->len, "answered");
        tap_frame(c, TAP_OUT, reply.p, reply.len, "answer");
        conn_send_text(c, reply.p, reply.len);
        histogram_add(
            &self.st->answer_time, clock_mono_ns() / 1000u - self.now_us);
    } else {
        uint64_t number = publish(&a, kind, deviations);
        tap_frame(c, TAP_IN, tape->text, tape->len,
            number ? event_info[kind].type
                   : "not answered: the journal does not take it");
        if (number != 0 && a.asked)
            platform_wait(number, c, f, m, payload.p, payload.len,
                starts ? &a.start : NULL);
        else if (number != 0)
            deferred_answer(number, c, reply.p, reply.len, self.now_us,
                starts ? &a.start : NULL);
    }
    if (boots)
        calls_pump(c);
}

/* Member of an object; 0 if there is none or it is no object. */
static uint32_t
member(struct json *tape, const char *text, size_t len, const char *name)
{
    return json_scan(tape, text, len) ? json_member(tape, 0, name, strlen(name))
                                      : 0;
}

void
answers_booted(struct conn *c, const char *text, size_t len)
{
    struct json_token tokens[64];
    struct json       tape = JSON_INIT(tokens, 64);
    uint32_t          status = member(&tape, text, len, "status");

    char word[16] = "";

    if (status != 0)
        json_string(&tape, status, word, sizeof word, NULL);
    booted(c, boot_of(word));
    calls_pump(c);
}

bool
answers_transaction(const char *text, size_t len, int64_t *id)
{
    struct json_token tokens[64];
    struct json       tape = JSON_INIT(tokens, 64);
    uint32_t          i = member(&tape, text, len, "transactionId");

    return i != 0 && json_int64(&tape, i, id) && *id >= INT32_MIN &&
        *id <= INT32_MAX;
}

void
answers_recover(uint64_t number, const char *line, size_t len)
{
    static struct json_token tokens[4096];
    struct json              tape = JSON_INIT(tokens, 4096);
    static const char        type[] = "\"transaction.started\"";
    const char              *value;
    size_t                   n;
    char                     name[REGISTRY_NAME_MAX];
    struct deferred_start    start;
    int64_t                  id;
    bool                     full;

    if (!journal_line_field(line, len, "eventType", &value, &n) ||
        n != sizeof type - 1 || memcmp(value, type, n) != 0 ||
        !json_scan(&tape, line, len))
        return;
    uint32_t who = json_member(&tape, 0, "chargePointId", 13);
    uint32_t call = json_member(&tape, 0, "payload", 7);
    uint32_t answer = json_member(&tape, 0, "answer", 6);
    uint32_t tx = answer ? json_member(&tape, answer, "transactionId", 13) : 0;
    if (who == 0 || call == 0 || tx == 0 || !json_int64(&tape, tx, &id))
        return;
    n = json_string(&tape, who, name, sizeof name, &full);
    if (!full)
        return;
    uint32_t entry = registry_find(self.registry, name, n, true);
    if (entry == REGISTRY_NONE)
        return;
    transactions_fingerprint(&tape, call, start.fingerprint);
    /* A successor finds in the registry what was drawn by whomever. */
    registry_start_recover(self.registry, entry, start.fingerprint, (int32_t)id,
        number, self.mem->incarnation == 1);
}
