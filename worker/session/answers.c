/* answers: what the gateway answers to the CALLs of charge points. See
 * answers.h. */
#include "session/answers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "access/certificate.h"
#include "session/platform.h"
#include "session/calls.h"
#include "clock.h"
#include "session/violation.h"
#include "session/deferred.h"
#include "fleet/questions.h"
#include "fleet/transaction_ids.h"
#include "hash.h"
#include "journal/journal.h"
#include "log.h"
#include "ocpp/default_answer.h"
#include "ocpp/dialect.h"
#include "ocpp/event_kind.h"
#include "ocpp/tape.h"
#include "ocpp/transaction.h"
#include "session/parked.h"
#include "session/publish.h"
#include "base/self.h"
#include "session/session.h"
#include "session/transactions.h"
#include "session/tap.h"
#include "session/verdicts.h"

#define PAYLOAD_MAX (256u << 10)
#define CLOSE_MS 1000 /* for Redis to close a question */

enum answer_how {
    ANSWER_NOW,
    ANSWER_COMMITTED,
    ANSWER_ASK,
    ANSWER_ASKED,
    ANSWER_LATER
};

/* What answering one CALL needs. */
struct answer {
    struct conn                 *c; /* NULL: its connection has ended */
    struct publish_who           who;
    uint32_t                     entry;
    uint8_t                      protocol;
    const struct ocppj_frame    *f;
    const struct json           *tape;
    const struct schema_message *m;
    enum event_kind              kind;
    uint64_t                     deviations;
    uint64_t                     since_us;
    const char                  *by;    /* answeredBy */
    uint64_t                     after; /* COMMITTED: the event, if it is there
                                           already; ASKED: the question */
    bool                   about_token; /* ASK: not about all of it */
    const char            *token;       /* of the question, if asked */
    uint64_t               resolved_ms; /* transactions_find() */
    struct ocppj_span      token_info;  /* the platform's verdict */
    bool                   no_token_info;
    struct deferred_effect effect;
};

static struct buf payload = {.max = PAYLOAD_MAX};
static struct buf reply = {.max = PAYLOAD_MAX + 1024};

/* The parked CALL that is being taken again. */
static struct parked *taking;

/* The answer to some question could not leave yet. */
static bool unsent;

/* --- the payload --------------------------------------------------------- */

/* The interval with jitter: the same for one charge point at each boot, so
 * that its heartbeat does not wander; different over the fleet. */
static uint64_t
heartbeat_interval_s(const struct answer *a)
{
    uint64_t base = self.conf.ocpp_heartbeat_interval / 1000;
    uint64_t span = base * self.conf.ocpp_heartbeat_jitter / 100;
    uint64_t s = base - span +
        hash_sum(a->who.identity, a->who.identity_len, 0) % (2 * span + 1);

    return s > 0 ? s : 1;
}

/* Writes what the gateway answers by itself. */
static void
write_payload(struct answer *a)
{
    char                  now[CLOCK_RFC3339_LEN + 1];
    struct writer         w = WRITER_INIT(&payload);
    struct default_answer in = {.m = a->m,
        .tape = a->tape,
        .payload = a->f->payload_tok,
        .status = dialect_status(a->m),
        .token_info = a->token_info.p,
        .token_info_len = a->token_info.len,
        .no_token_info = a->no_token_info,
        .now = now,
        .transaction_id = a->effect.transaction};

    if (a->m->flags & SCHEMA_ANSWERS_TIME)
        clock_rfc3339(now, self.wall_ms);
    if (a->m->flags & SCHEMA_ANSWERS_TOKEN)
        in.token_status = dialect_token_status(&dialects[a->protocol]);
    if (a->m->event == EVENT_booted)
        in.interval_s = heartbeat_interval_s(a);
    buf_clear(&payload);
    writer_open(&w, NULL, '{');
    default_answer_put(&w, &in);
    writer_close(&w);
}

static void
set_payload(const char *text, size_t len)
{
    buf_clear(&payload);
    buf_add(&payload, text, len);
}

/* Cuts a frame that arrived before; tape_return() gives the tape back. */
static struct json *
cut(unsigned protocol, const char *text, size_t len, struct ocppj_frame *f)
{
    struct json *tape = tape_borrow(TAPE_MESSAGE);

    tape->max_depth = (uint32_t)self.conf.ocpp_max_depth;
    ocppj_cut(f, tape, text, len, dialect_mode(), dialects[protocol].last_type);
    return tape;
}

/* --- the platform's verdicts on tokens ----------------------------------- */

/* The value of the token that the CALL presents. */
static bool
token_of(const struct answer *a, char *out, size_t size, size_t *len)
{
    uint32_t i = dialect_token(a->tape, a->f->payload_tok);
    bool     full = false;

    if (i != 0)
        *len = json_string(a->tape, i, out, size, &full);
    return full;
}

/* The verdict in an answer, {NULL, 0} if there is none. */
static struct ocppj_span
info_of(const char *text, size_t len)
{
    struct ocppj_span span = {NULL, 0};
    struct json      *tape = tape_borrow(TAPE_MESSAGE);
    uint32_t i = json_scan(tape, text, len) ? dialect_token_info(tape, 0) : 0;

    if (i != 0)
        span.p = json_raw(tape, i, &span.len);
    tape_return(tape);
    return span;
}

static bool
has_expired(const char *info, size_t len)
{
    char         when[64];
    uint64_t     ms = 0;
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    uint32_t i = json_scan(tape, info, len) ? dialect_token_expiry(tape, 0) : 0;
    bool     expired = false;

    if (i != 0) {
        size_t n = json_string(tape, i, when, sizeof when, NULL);
        expired = !clock_parse_rfc3339(when, n, &ms) || ms <= self.wall_ms;
    }
    tape_return(tape);
    return expired;
}

/* Remembers what the platform's answer says of the CALL's token. */
static void
note_verdict(const struct answer *a, const char *text, size_t len)
{
    char              token[256];
    size_t            token_len = 0;
    struct ocppj_span info = info_of(text, len);

    if (info.p != NULL && token_of(a, token, sizeof token, &token_len))
        verdicts_put(a->who.identity, a->who.identity_len, token, token_len,
            info.p, info.len);
}

/* The platform's last verdict on the CALL's token, if it still holds. */
static bool
find_verdict(struct answer *a)
{
    char   token[256];
    size_t len = 0;

    if (!token_of(a, token, sizeof token, &len))
        return false;
    const struct verdict *v =
        verdicts_get(a->who.identity, a->who.identity_len, token, len);
    if (v == NULL || has_expired(v->info, v->len))
        return false;
    a->token_info = (struct ocppj_span){v->info, v->len};
    return true;
}

/* --- the CALL's event ---------------------------------------------------- */

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
check(struct answer *a)
{
    static struct schema_verdict v;

    if (self.conf.ocpp_validation == CONF_ocpp_validation_off)
        return true;
    if (schema_check(a->m, SCHEMA_REQUEST, a->tape, a->f->payload_tok,
            dialect_mode(), &v)) {
        a->deviations |= v.deviations;
        if (taking == NULL)
            violation_count(v.deviations);
        return true;
    }
    refuse(a->c, a->f, a->tape, v.code, "payload", v.text);
    return false;
}

/* Messages that a charge point keeps and sends again until it is answered, so
 * that silence uses up its attempts. */
static bool
is_urgent(const struct answer *a)
{
    return a->kind == EVENT_tx_started || a->kind == EVENT_tx_updated ||
        a->kind == EVENT_tx_stopped || a->kind == EVENT_meter_values;
}

/* The event that holds the answer; 0 if the journal does not take it. */
static uint64_t
publish(struct answer *a)
{
    struct deferred_effect *e = &a->effect;

    /* Nothing is acknowledged under no name: the sweep ends the connection,
     * and the charge point sends its CALL again. */
    if (a->who.identity == registry_nobody)
        return 0;
    struct publish *p = publish_begin(a->kind, &a->who);
    publish_call(p, a->f, a->tape);
    writer_raw(&p->w, "answer", payload.p, payload.len);
    writer_str(&p->w, "answeredBy", a->by);
    if (transaction_is_kind(a->kind))
        transaction_put(&p->w, a->kind, a->tape, a->f->payload_tok, payload.p,
            payload.len, NULL);
    violation_put(&p->w, a->deviations);
    /* The last member: ocppd_gateway.lua looks for it there. */
    if (a->token != NULL)
        writer_str(&p->w, "question", a->token);
    /* Before the event can become durable, the start must be found by other
     * workers: one that learns of it only later would begin a second
     * transaction. */
    uint64_t number = p->number;
    if (e->what == DEFERRED_START)
        registry_start_draft(self.registry, a->entry, e->fingerprint, self.slot,
            number, e->transaction, payload.p, payload.len);
    if (publish_end(p) != 0)
        return number;
    if (e->what == DEFERRED_START)
        registry_start_drop(self.registry, a->entry, e->fingerprint, number);
    return 0;
}

/* Publishes the event of the answer in `payload`, with which the answer
 * leaves. False if the journal does not take it. */
static bool
commit(struct answer *a)
{
    uint64_t number = publish(a);

    if (number == 0)
        return false;
    buf_clear(&reply);
    ocppj_put_result(&reply, a->f->id_raw, payload.p, payload.len);
    if (!deferred_answer(number, a->c, a->entry, a->who.generation, reply.p,
            reply.len, payload.len, a->since_us, is_urgent(a), &a->effect))
        log_error("no memory for an answer; the charge point sends its CALL "
                  "again");
    return true;
}

/* --- how a CALL is answered ---------------------------------------------- */

static bool
can_ask(const struct answer *a)
{
    return questions_reachable(a->who.identity, a->who.identity_len);
}

static bool
asks_about_tokens(const struct answer *a)
{
    return dialect_asks_platform(dialect_authorize(&dialects[a->protocol]));
}

static void
boot_effect(struct answer *a, const char *text, size_t len)
{
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    uint32_t     status =
        json_scan(tape, text, len) ? json_member(tape, 0, "status", 6) : 0;

    a->effect.what = DEFERRED_BOOT;
    a->effect.boot = status == 0                   ? BOOT_REJECTED
        : json_equals(tape, status, "Accepted", 8) ? BOOT_ACCEPTED
        : json_equals(tape, status, "Pending", 7)  ? BOOT_PENDING
                                                   : BOOT_REJECTED;
    tape_return(tape);
}

/* What else the answer in `payload` brings about. */
static void
find_effect(struct answer *a)
{
    int64_t  id;
    uint32_t tx;

    if (a->m->event == EVENT_booted) {
        boot_effect(a, payload.p, payload.len);
    } else if (a->m->event == EVENT_tx_stopped) {
        tx = json_member(a->tape, a->f->payload_tok, "transactionId", 13);
        if (tx != 0 && json_int64(a->tape, tx, &id) && id >= INT32_MIN &&
            id <= INT32_MAX) {
            a->effect.what = DEFERRED_STOP;
            a->effect.transaction = (int32_t)id;
        }
    }
}

/* The gateway answers by itself: writes the payload. False if there is no
 * transaction id now. */
static bool
answer_alone(struct answer *a)
{
    bool starts = a->m->event == EVENT_tx_started;

    /* A gateway that is to ask about tokens does not vouch for one. In the
     * answer to a stop the verdict is optional. */
    if ((a->m->flags & SCHEMA_ANSWERS_TOKEN) && a->token_info.p == NULL &&
        a->m->event != EVENT_authorization && asks_about_tokens(a) &&
        !find_verdict(a)) {
        if (starts)
            a->by = "fallback";
        else
            a->no_token_info = true;
    }
    if (starts) {
        if (!transaction_ids_next(&a->effect.transaction))
            return false;
        a->effect.what = DEFERRED_START;
    }
    write_payload(a);
    if (!starts)
        find_effect(a);
    if (schema_is_remembered(a->m))
        a->effect.what = DEFERRED_START;
    return true;
}

static enum answer_how
decide_start(struct answer *a)
{
    struct registry_start start;

    transactions_fingerprint(a->tape, a->f->payload_tok, a->effect.fingerprint);
    switch (transactions_find(
        a->entry, a->effect.fingerprint, &start, &a->resolved_ms)) {
    case TRANSACTION_KNOWN:
        STAT_INC(self.st, starts_resent);
        set_payload(start.answer, start.len);
        return ANSWER_NOW;
    case TRANSACTION_WRITTEN:
        STAT_INC(self.st, starts_resent);
        set_payload(start.answer, start.len);
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
    if (dialect_asks_platform(a->m)) {
        if (can_ask(a))
            return ANSWER_ASK;
        a->by = "fallback";
    } else if (dialect_token(a->tape, a->f->payload_tok) != 0 &&
        asks_about_tokens(a) && !find_verdict(a) && can_ask(a)) {
        a->about_token = true;
        return ANSWER_ASK;
    }
    return answer_alone(a) ? ANSWER_COMMITTED : ANSWER_LATER;
}

static enum answer_how
decide(struct answer *a)
{
    a->by = "gateway";
    if (schema_is_remembered(a->m))
        return decide_start(a);
    if (a->kind != EVENT_none && dialect_asks_platform(a->m)) {
        if (can_ask(a))
            return ANSWER_ASK;
        a->by = "fallback";
    }
    answer_alone(a);
    return a->kind == EVENT_none ||
            (a->kind == EVENT_heartbeat && !self.conf.ocpp_heartbeat_events)
        ? ANSWER_NOW
        : ANSWER_COMMITTED;
}

/* --- questions ----------------------------------------------------------- */

static void
question_token(const struct answer *a, uint64_t number, char *out, size_t size)
{
    const uint64_t *fp = a->effect.fingerprint;
    const char     *name = a->who.identity;
    size_t          len = a->who.identity_len;
    char            id[40];

    /* A start that is asked about again, by whatever worker, has the same id,
     * so that an answer that was taken for the first question counts. */
    if (schema_is_remembered(a->m))
        snprintf(id, sizeof id, "%c%016" PRIx64 "%016" PRIx64,
            a->about_token ? 't' : 's', hash_sum(name, len, fp[0]),
            hash_sum(name, len, fp[1]));
    else
        snprintf(id, sizeof id, "%" PRIx64, number);
    questions_token(out, size, id);
}

/* The event that asks; 0 if the journal does not take it. */
static uint64_t
publish_question(struct answer *a, const char *token)
{
    const struct schema_message *authorize =
        dialect_authorize(&dialects[a->protocol]);

    if (a->who.identity == registry_nobody)
        return 0;
    struct publish *p = publish_begin(EVENT_asked, &a->who);
    if (a->about_token) {
        writer_strn(&p->w, "messageId", a->f->id, a->f->id_len);
        writer_str(&p->w, "action", authorize->name);
        writer_open(&p->w, "payload", '{');
        dialect_put_token(&p->w, a->tape, a->f->payload_tok);
        writer_close(&p->w);
        writer_strn(&p->w, "cause", a->m->name, a->m->name_len);
    } else {
        publish_call(p, a->f, a->tape);
    }
    /* The last member: ocppd_gateway.lua looks for it there. */
    writer_str(&p->w, "replyToken", token);
    return publish_end(p);
}

/* False if the platform cannot be asked after all. */
static bool
ask(struct answer *a)
{
    uint64_t number = atomic_fetch_add(&self.shm->sequence, 1);
    char     token[PLATFORM_TOKEN_MAX];

    question_token(a, number, token, sizeof token);
    struct question *q = platform_find(token);
    if (q != NULL) /* the registry keeps the last few starts only */
        return platform_replace(q, a->c, a->tape->text, a->tape->len);
    q = platform_put(number, token, a->c, a->tape->text, a->tape->len);
    if (q == NULL)
        return false;
    q->about_token = a->about_token;
    q->deviations = a->deviations;
    q->starts = schema_is_remembered(a->m);
    memcpy(q->fingerprint, a->effect.fingerprint, sizeof q->fingerprint);
    if (publish_question(a, token) == 0) {
        platform_remove(q);
        return false;
    }
    if (q->starts)
        registry_start_ask(
            self.registry, a->entry, q->fingerprint, self.slot, number);
    return true;
}

/* The question that this worker has asked about the start. */
static struct question *
asked(struct answer *a)
{
    char             token[PLATFORM_TOKEN_MAX];
    struct question *q = NULL;

    for (int i = 0; q == NULL && i < 2; i++) {
        a->about_token = i;
        question_token(a, 0, token, sizeof token);
        q = platform_find(token);
    }
    return q;
}

static void
forget_question(struct question *q)
{
    if (q->starts)
        registry_start_drop(self.registry, q->entry, q->fingerprint, q->number);
    platform_remove(q);
}

/* The transaction id of an answer. */
static int32_t
id_of(const char *text, size_t len)
{
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    int64_t      id = 0;

    if (json_scan(tape, text, len))
        json_int64(tape, json_member(tape, 0, "transactionId", 13), &id);
    tape_return(tape);
    return (int32_t)id;
}

/* Writes the answer to a question: the platform's, or the fallback. */
static bool
answer_question(
    struct answer *a, const struct question *q, const char *text, size_t len)
{
    if (text != NULL)
        note_verdict(a, text, len);
    if (text == NULL || q->about_token) {
        if (text != NULL)
            a->token_info = info_of(text, len);
        return answer_alone(a);
    }
    set_payload(text, len);
    find_effect(a);
    if (q->starts) {
        a->effect.what = DEFERRED_START;
        a->effect.transaction = id_of(text, len);
    }
    return true;
}

/* Answers a question: with the platform's answer, or with the fallback if it
 * is NULL. False if that is not possible now, because the journal is full or
 * there is no transaction id. */
static bool
give(struct question *q, const char *text, size_t len)
{
    struct ocppj_frame f;
    struct conn       *c = conn_find(q->conn);
    struct json       *tape = cut(q->protocol, q->frame, q->frame_len, &f);
    struct answer      a = {.c = c,
             .entry = q->entry,
             .protocol = q->protocol,
             .f = &f,
             .tape = tape,
             .deviations = q->deviations,
             .since_us = q->since_us,
             .by = text ? "platform" : "fallback",
             .about_token = q->about_token,
             .token = q->token,
             .who = {q->identity, q->identity_len, c ? c->generation : q->generation,
                 dialects[q->protocol].name}};

    if (c != NULL && publish_who(c).identity == registry_nobody)
        a.who.identity = registry_nobody;
    a.m = schema_find(dialects[q->protocol].schema, f.action.p, f.action.len);
    a.kind = event_kind_of(a.m, tape, f.payload_tok);
    memcpy(a.effect.fingerprint, q->fingerprint, sizeof q->fingerprint);
    bool given = answer_question(&a, q, text, len) && commit(&a);
    tape_return(tape);
    if (!given)
        return false;
    if (text != NULL) {
        STAT_INC(self.st, platform_answers);
        histogram_add(
            &self.st->platform_time, clock_mono_ns() / 1000u - q->since_us);
    } else {
        STAT_INC(self.st, platform_fallbacks);
    }
    if (c != NULL)
        tap_frame(c, TAP_IN, q->frame, q->frame_len, a.by);
    platform_remove(q); /* the start is a draft now */
    return true;
}

/* Why an answer of the platform cannot be used; NULL if it can. */
static const char *
wrong(const struct question *q, const char *text, size_t len)
{
    static struct schema_verdict v;
    static char                  why[SCHEMA_PATH_MAX + SCHEMA_TEXT_MAX + 8];
    const struct dialect        *d = &dialects[q->protocol];
    const struct schema_message *m = dialect_authorize(d);
    struct ocppj_frame           f;
    const char                  *words = NULL;

    struct json *tape = cut(q->protocol, q->frame, q->frame_len, &f);
    if (!q->about_token)
        m = schema_find(d->schema, f.action.p, f.action.len);
    tape_return(tape);
    tape = tape_borrow(TAPE_MESSAGE);
    if (!json_scan(tape, text, len)) {
        words = "it is not JSON";
    } else if (tape->deviations != 0 || tape->newline) {
        words = "it must be plain JSON on one line";
    } else if (!schema_check(m, SCHEMA_RESPONSE, tape, 0, OCPPJ_STRICT, &v)) {
        snprintf(
            why, sizeof why, "%s%s%s", v.path, v.path[0] ? ": " : "", v.text);
        words = why;
    } else if (m->event == EVENT_tx_started && len > REGISTRY_ANSWER_MAX) {
        words = "the answer to a StartTransaction is kept, and it is longer "
                "than 190 bytes";
    }
    tape_return(tape);
    return words;
}

static void
take_platform(struct question *q, const char *text, size_t len)
{
    const char *why = wrong(q, text, len);

    if (why != NULL) {
        STAT_INC(self.st, platform_refused);
        log_warn("%.*s: the platform's answer cannot be used: %s; it may give "
                 "another one",
            q->identity_len, q->identity, why);
        questions_reopen(q->identity, q->identity_len, q->token, why);
        return;
    }
    if (give(q, text, len))
        return;
    if (platform_keep(q, text, len))
        q->state = QUESTION_ANSWERED;
    unsent = true;
}

void
answers_platform(const char *token, const char *text, size_t len)
{
    struct question *q = platform_find(token);

    if (q == NULL || q->state == QUESTION_ANSWERED ||
        q->state == QUESTION_OVER) {
        STAT_INC(self.st, platform_refused);
        return;
    }
    struct conn *c = conn_find(q->conn);
    take_platform(q, text, len);
    if (c != NULL)
        conn_settle(c);
}

static void
fall_back(struct question *q)
{
    q->state = QUESTION_OVER;
    if (!give(q, NULL, 0))
        unsent = true;
}

void
answers_closed(
    const char *token, enum question_closed how, const char *text, size_t len)
{
    struct question *q = platform_find(token);

    if (q == NULL || q->state != QUESTION_CLOSING)
        return;
    if (how == QUESTION_CLOSED_MOVED)
        forget_question(q); /* another gateway has asked since */
    else if (how == QUESTION_CLOSED_TAKEN && wrong(q, text, len) == NULL)
        take_platform(q, text, len);
    else
        fall_back(q);
}

static bool
is_due(const struct question *q)
{
    return q->state != QUESTION_OPEN ||
        self.now_ms - q->since_ms >= self.conf.ocpp_message_timeout;
}

static void
check_question(struct question *q)
{
    switch ((enum question_state)q->state) {
    case QUESTION_OPEN:
        if (questions_reachable(q->identity, q->identity_len) &&
            questions_close(q->identity, q->identity_len, q->token)) {
            q->state = QUESTION_CLOSING;
            q->closing_ms = self.now_ms;
        } else {
            fall_back(q);
        }
        break;
    case QUESTION_CLOSING:
        if (self.now_ms - q->closing_ms >= CLOSE_MS)
            fall_back(q);
        break;
    case QUESTION_ANSWERED:
        if (!give(q, q->answer, q->answer_len))
            unsent = true;
        break;
    case QUESTION_OVER:
        fall_back(q);
        break;
    }
}

/* Questions are in order of time, so those behind the first that is not due are
 * not due either, but for answers that could not leave. */
static void
check_questions(void)
{
    bool all = unsent;

    unsent = false;
    for (struct question *q = platform_oldest(), *later; q != NULL; q = later) {
        later = platform_next(q);
        if (is_due(q))
            check_question(q);
        else if (!all)
            break;
    }
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
    if (is_urgent(a) && a->who.identity != registry_nobody)
        park(a, true);
    else if (taking == NULL)
        say_in(a, "not answered: the journal does not take it");
}

static void
answer_now(struct answer *a)
{
    buf_clear(&reply);
    ocppj_put_result(&reply, a->f->id_raw, payload.p, payload.len);
    say_in(a, "answered");
    tap_frame(a->c, TAP_OUT, reply.p, reply.len, "answer");
    conn_send_text(a->c, reply.p, reply.len);
    histogram_add(&self.st->answer_time, clock_mono_ns() / 1000u - a->since_us);
}

static void
answer_committed(struct answer *a)
{
    if (a->after != 0) {
        say_in(a, "sent again before it was answered");
        buf_clear(&reply);
        ocppj_put_result(&reply, a->f->id_raw, payload.p, payload.len);
        deferred_answer(a->after, a->c, a->entry, a->who.generation, reply.p,
            reply.len, payload.len, a->since_us, is_urgent(a),
            &(struct deferred_effect){0});
    } else if (commit(a)) {
        say_in(a, event_info[a->kind].type);
    } else {
        not_taken(a);
    }
}

static void
answer_asked(struct answer *a)
{
    struct question *q = asked(a);

    if (q == NULL) { /* it is gone: the CALL is looked at anew */
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
take(struct answer *a)
{
    enum answer_how how = decide(a);

    /* Until the boot is answered, the charge point gets no CALL. */
    if (a->m->event == EVENT_booted)
        a->c->session.boot = BOOT_WAITS;
    if (how == ANSWER_ASK) {
        if (ask(a)) {
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
        .who = publish_who(c),
        .entry = c->session.entry,
        .protocol = c->session.protocol,
        .f = f,
        .tape = tape,
        .deviations = f->deviations,
        .since_us = taking ? taking->since_us : self.now_us};

    if (f->verdict != OCPPJ_GOOD) {
        refuse(c, f, tape, f->error, "malformed", f->why);
        return;
    }
    a.m = schema_find(
        dialects[c->session.protocol].schema, f->action.p, f->action.len);
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
    if (a.m->event == EVENT_booted &&
        !certificate_booted(c, tape, f->payload_tok)) {
        session_end(c, CLOSE_certificate_name, NULL);
        return;
    }
    take(&a);
}

void
answers_again(struct conn *c, struct parked *p)
{
    struct ocppj_frame f;
    struct json       *tape = cut(c->session.protocol, p->frame, p->len, &f);

    taking = p;
    answers_take(c, &f, tape);
    taking = NULL;
    tape_return(tape);
}

/* --- after the commit ---------------------------------------------------- */

void
answers_durable(const struct deferred *d)
{
    const struct deferred_effect *e = &d->effect;

    /* Also if the charge point is gone, or on another worker by now: it sends
     * its StartTransaction again. The entry may belong to another identity. */
    if (e->what == DEFERRED_START &&
        registry_at(self.registry, d->entry)->generation >= d->generation)
        registry_start_know(self.registry, d->entry, e->fingerprint, d->number,
            e->transaction, deferred_payload(d), d->payload_len);
    else if (e->what == DEFERRED_STOP)
        registry_start_stop(self.registry, d->entry, e->transaction, d->number);
}

void
answers_left(struct conn *c, const struct deferred_effect *e)
{
    if (e->what != DEFERRED_BOOT)
        return;
    c->session.boot = (uint8_t)e->boot;
    registry_at(self.registry, c->session.entry)->booted_at =
        (uint32_t)(self.wall_ms / 1000);
    calls_pump(c);
}

/* --- time ---------------------------------------------------------------- */

bool
answers_stalled(void)
{
    return journal_stalled_ms() >= self.conf.journal_stall_time;
}

void
answers_tick(void)
{
    static uint32_t second_ms;
    static bool     stalled;

    check_questions();
    parked_tick();
    if (self.now_ms - second_ms < 1000)
        return;
    second_ms = self.now_ms;
    parked_close(self.conf.journal_stall_time);
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
        deferred_close(self.conf.journal_stall_time);
}
