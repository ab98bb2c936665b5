/* calls: commands, CALLs from the platform to a charge point. See calls.h. */
#include "session/calls_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/auth.h"
#include "clock.h"
#include "ensure.h"
#include "session/violation.h"
#include "session/deferred.h"
#include "hash.h"
#include "log.h"
#include "fleet/call_queue.h"
#include "base/master_link.h"
#include "ocpp/dialect.h"
#include "ocpp/secrets.h"
#include "session/permits.h"
#include "session/publish.h"
#include "session/remote_starts.h"
#include "session/session.h"
#include "journal/journal.h"
#include "journal_line.h"
#include "base/self.h"
#include "session/tap.h"
#include "ocpp/tape.h"

#define ANSWER_KEPT ((size_t)256 << 10)
#define LINE_REST 2048 /* of a command.response, besides its payload */
#define CUT "the answer is too long for an event"
#define TOO_LONG "\"cut\":\"" CUT "\""
#define OWN_ID_MAX 64 /* of a generated commandId: 16 digits, -, node */

/* Outcomes the journal would not take, oldest first. */
static struct call  *parked;
static struct call **parked_last = &parked;

/* Connections whose first call waits for its command.sent event to be durable,
 * in order. Without memory the sweep finds them. */
static struct announced {
    cref     conn;
    uint64_t number;
} * announced;
static size_t announced_n, announced_cap;

/* Hashes of the command ids whose outcome recovery found in the journal. */
static uint64_t *recovered;
static size_t    recovered_n, recovered_cap;

/* --- outcome ------------------------------------------------------------- */

static struct publish_who
who_of(const struct call *k)
{
    struct publish_who who = {.identity = k->identity,
        .identity_len = strlen(k->identity),
        .protocol = k->protocol};
    uint32_t           entry =
        registry_find(self.registry, who.identity, who.identity_len, false);

    if (entry != REGISTRY_NONE) {
        who.generation = registry_at(self.registry, entry)->generation;
        who.entry1 = entry + 1;
    }
    return who;
}

/* What the client of the control socket gets: the outcome, without what is too
 * long for a datagram. */
static void
tell_client(struct call *k, uint64_t number)
{
    struct buf    cut = BUF_INIT(4096);
    struct writer w = WRITER_INIT(&cut);

    if (k->ended.len <= CHANNEL_BODY_MAX - 512) {
        deferred_done(number, k->request, k->outcome, k->ended.p, k->ended.len);
        return;
    }
    writer_open(&w, NULL, '{');
    writer_str(&w, "commandId", k->command_id);
    writer_str(&w, "action", k->action);
    writer_str(&w, "outcome", outcome_info[k->outcome].word);
    writer_u64(&w, "cutBytes", k->ended.len);
    writer_str(&w, "hint",
        "the answer is too long to be shown here; the event command.response "
        "has all of it");
    writer_close(&w);
    deferred_done(number, k->request, k->outcome, cut.p, cut.len);
    buf_free(&cut);
}

static bool
publish_outcome(struct call *k)
{
    struct publish_who who = who_of(k);
    struct publish    *p = publish_begin(EVENT_command, &who);
    writer_str(&p->w, "messageId", k->id);
    writer_str(&p->w, "action", k->action);
    writer_raw(&p->w, "payload", k->ended.p, k->ended.len);
    uint64_t number = publish_end(p);
    if (number == 0)
        return false;
    STAT_INC(self.st, commands[k->outcome]);
    STAT_DEC(self.st, commands_pending);
    if (k->request != 0)
        tell_client(k, number);
    buf_free(&k->ended);
    free(k);
    return true;
}

void
calls_park(struct call *k)
{
    k->next = NULL;
    *parked_last = k;
    parked_last = &k->next;
}

struct call *
calls_parked(void)
{
    return parked;
}

/* Ends a command that is in no queue any more. payload: the CALLRESULT's;
 * code, description, details: of the CALLERROR, or of the gateway. All JSON
 * but code and NULL where there is none. */
static void
finish(struct call *k, enum outcome outcome, struct ocppj_span payload,
    struct ocppj_span code, struct ocppj_span description,
    struct ocppj_span details)
{
    struct writer w = WRITER_INIT(&k->ended);

    k->outcome = (uint8_t)outcome;
    k->ended.max = JOURNAL_LINE_MAX;
    writer_open(&w, NULL, '{');
    writer_str(&w, "commandId", k->command_id);
    writer_str(&w, "action", k->action);
    writer_str(&w, "outcome", outcome_info[outcome].word);
    size_t detail = k->ended.len;
    if (payload.p != NULL)
        writer_raw(&w, "payload", payload.p, payload.len);
    else if (outcome == OUTCOME_result)
        writer_str(&w, "cut", CUT);
    if (code.p != NULL) {
        writer_open(&w, "error", '{');
        writer_strn(&w, "code", code.p, code.len);
        if (description.p != NULL)
            writer_raw(&w, "description", description.p, description.len);
        if (details.p != NULL)
            writer_raw(&w, "details", details.p, details.len);
        writer_close(&w);
    }
    if (k->violation != NULL)
        writer_str(&w, "violation", k->violation);
    violation_put(&w, k->deviations);
    if (k->unchecked)
        writer_bool(&w, "unchecked", true);
    size_t detail_end = k->ended.len;
    writer_u64(&w, "durationMs", self.now_ms - k->taken_ms);
    writer_close(&w);
    if (k->queued != NULL) {
        /* Its event is made in Redis, together with its outcome. */
        detail += detail_end > detail; /* the comma */
        STAT_DEC(self.st, commands_pending);
        if (k->ended.overflow)
            call_queue_ended(k->queued, outcome, TOO_LONG, sizeof TOO_LONG - 1,
                self.now_ms - k->taken_ms, k->id);
        else
            call_queue_ended(k->queued, outcome, k->ended.p + detail,
                detail_end - detail, self.now_ms - k->taken_ms, k->id);
        buf_free(&k->ended);
        free(k);
        return;
    }
    if (k->ended.overflow || k->ended.len + LINE_REST > JOURNAL_LINE_MAX) {
        /* No event holds it: the outcome counts, and that the rest was cut. */
        buf_clear(&k->ended);
        w = WRITER_INIT(&k->ended);
        writer_open(&w, NULL, '{');
        writer_str(&w, "commandId", k->command_id);
        writer_str(&w, "action", k->action);
        writer_str(&w, "outcome", outcome_info[outcome].word);
        buf_addf(&k->ended, "," TOO_LONG);
        writer_u64(&w, "durationMs", self.now_ms - k->taken_ms);
        writer_close(&w);
    }
    if (parked != NULL || !publish_outcome(k))
        calls_park(k);
}

void
calls_finish_plain(
    struct call *k, enum outcome outcome, const char *code, const char *why)
{
    static struct buf quoted = {.max = 1024};
    struct ocppj_span none = {NULL, 0};
    struct ocppj_span c = {code, code ? strlen(code) : 0};

    buf_clear(&quoted);
    writer_quote(&quoted, why, strlen(why));
    finish(
        k, outcome, none, c, (struct ocppj_span){quoted.p, quoted.len}, none);
}

bool
calls_retry(void)
{
    while (parked != NULL) {
        struct call *k = parked;
        struct call *next = k->next;
        if (!publish_outcome(k))
            return true;
        parked = next;
        if (parked == NULL)
            parked_last = &parked;
    }
    return false;
}

/* --- queue --------------------------------------------------------------- */

/* Appends a copy of text at *at, and returns it. */
static const char *
keep(char **at, const char *text)
{
    char  *copy = *at;
    size_t n = strlen(text) + 1;

    memcpy(copy, text, n);
    *at += n;
    return copy;
}

struct call *
calls_make(const struct call_request *r)
{
    /* Both stand for a payload without members (OCPP-J 1.6 section 4.2.1). */
    const char *payload =
        r->payload[0] == '\0' || strcmp(r->payload, "null") == 0 ? "{}"
                                                                 : r->payload;
    struct call *k = calloc(1,
        sizeof *k + strlen(r->command_id) + strlen(r->identity) +
            strlen(r->action) + strlen(payload) + 4 + OWN_ID_MAX);

    if (k == NULL)
        return NULL;
    uint64_t number = atomic_fetch_add(&self.shm->sequence, 1);
    char    *at = k->strings;
    char     own[OWN_ID_MAX];
    snprintf(own, sizeof own, "%016" PRIx64 "-%.19s", number, self.shm->node);
    k->command_id = keep(&at, r->command_id[0] ? r->command_id : own);
    k->identity = keep(&at, r->identity);
    k->action = keep(&at, r->action);
    k->payload = keep(&at, payload);
    k->protocol = "";
    k->request = r->request;
    k->queued = r->queued;
    k->unchecked = r->unchecked;
    k->taken_ms = self.now_ms;
    k->timeout_ms = (uint32_t)(r->timeout_ms ? r->timeout_ms
                                             : self.conf.ocpp_message_timeout);
    /* Unique over restarts by the number, over gateways by the node. */
    snprintf(
        k->id, sizeof k->id, "%016" PRIx64 "-%.19s", number, self.shm->node);
    STAT_INC(self.st, commands_pending);
    return k;
}

/* The master's datagram: commandId, identity, action and payload. */
static struct call *
make_of_datagram(const struct channel_msg *msg, const char *body)
{
    return calls_make(&(struct call_request){.request = msg->id,
        .timeout_ms = msg->arg,
        .command_id = channel_string(body, msg->len, 0),
        .identity = channel_string(body, msg->len, 1),
        .action = channel_string(body, msg->len, 2),
        .payload = channel_string(body, msg->len, 3),
        .unchecked =
            strcmp(channel_string(body, msg->len, 4), "unchecked") == 0});
}

/* The message of the schema, or why there is none. */
static const char *
wrong(struct call *k, const struct conn *c, struct json *tape)
{
    static struct schema_verdict v;

    k->m = schema_find(
        dialects[c->session.protocol].schema, k->action, strlen(k->action));
    if (k->m == NULL && !k->unchecked)
        return "the action is not one of this OCPP version";
    if (!k->unchecked && !(k->m->direction & SCHEMA_CS))
        return "the action is not one that is sent to a charge point";
    if (!json_scan(tape, k->payload, strlen(k->payload)))
        return json_error_text(tape->error);
    if (tape->deviations != 0 || tape->newline)
        return "the payload must be plain JSON on one line";
    if (k->unchecked)
        return NULL;
    /* What the gateway sends is checked strictly, whatever it accepts from
     * charge points. */
    if (!schema_check(k->m, SCHEMA_REQUEST, tape, 0, OCPPJ_STRICT, &v))
        return v.text;
    return NULL;
}

static void enqueue(struct conn *c, struct call *k);

/* The identity has a connection, which is not here: it has another name, or is
 * on its way to another worker. */
static bool
has_moved(const char *identity)
{
    uint32_t entry =
        registry_find(self.registry, identity, strlen(identity), false);

    if (entry == REGISTRY_NONE)
        return false;
    return registry_at(self.registry, entry)->owner != 0;
}

void
calls_take(const struct channel_msg *msg, const char *body)
{
    struct conn *c = conn_find(msg->conn);
    struct call *k = make_of_datagram(msg, body);

    if (k == NULL) {
        log_error("no memory for a command; its client will time out");
        return;
    }
    if (c == NULL) {
        if (has_moved(k->identity)) {
            master_link_moved(k->request);
            STAT_DEC(self.st, commands_pending);
            free(k);
        } else {
            calls_finish_plain(k, OUTCOME_offline, NULL, "");
        }
        return;
    }
    enqueue(c, k);
}

void
calls_take_queued(struct conn *c, struct queued_call *q, const char *action,
    const char *payload, size_t len)
{
    static struct buf text = {.max = CHANNEL_BODY_MAX};
    size_t            name_len;
    const char       *name =
        registry_name(self.registry, c->session.entry, &name_len);
    char identity[IDENTITY_MAX + 1];

    snprintf(identity, sizeof identity, "%.*s", (int)name_len, name);
    buf_clear(&text);
    buf_add(&text, payload, len);
    struct call *k = text.overflow
        ? NULL
        : calls_make(&(struct call_request){.queued = q,
              .command_id = call_queue_id(q),
              .identity = identity,
              .action = action,
              .payload = buf_cstr(&text)});
    if (k == NULL) {
        log_error("%s: no memory for a call from Redis; it ends as offline",
            identity);
        call_queue_ended(q, OUTCOME_offline, "", 0, 0, "");
        return;
    }
    enqueue(c, k);
}

/* Bytes of the CALL on the wire, at most. */
static size_t
frame_size(const struct call *k)
{
    return strlen(k->id) + strlen(k->action) + strlen(k->payload) + 64;
}

static void
enqueue(struct conn *c, struct call *k)
{
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    const char  *why = wrong(k, c, tape);

    tape_return(tape);
    if (why != NULL) {
        calls_finish_plain(k, OUTCOME_invalid, "Invalid", why);
        return;
    }
    k->protocol = dialects[c->session.protocol].name;
    if (frame_size(k) > self.conf.websocket_max_output_size) {
        calls_finish_plain(k, OUTCOME_invalid, "TooLarge",
            "the command is larger than websocket.max_output_size");
        return;
    }
    struct busy *b = conn_busy(c);
    if (b == NULL || b->session.calls_n >= self.conf.ocpp_call_queue) {
        calls_finish_plain(k, OUTCOME_invalid, "QueueFull",
            "as many commands as ocpp.call_queue wait for this charge point");
        return;
    }
    struct call **p = &b->session.calls;
    while (*p != NULL)
        p = &(*p)->next;
    *p = k;
    b->session.calls_n++;
    calls_pump(c);
    conn_settle(c);
}

struct call *
calls_pop(struct conn *c)
{
    struct call *k = c->busy->session.calls;

    c->busy->session.calls = k->next;
    c->busy->session.calls_n--;
    return k;
}

/* A charge point that has just connected is left alone until its boot is
 * answered or some time passed; one that was answered Pending is not started
 * or stopped remotely, a Rejected one gets nothing (OCPP 1.6 section 4.2). */
static bool
may_send(const struct conn *c, const struct call *k)
{
    if (c->session.boot == BOOT_WAITS || c->session.boot == BOOT_REJECTED)
        return false;
    if (c->session.boot == BOOT_PENDING)
        return k->m == NULL || !(k->m->flags & SCHEMA_WHEN_ACCEPTED);
    return (c->session.boot == BOOT_ACCEPTED) ||
        session_age_ms(c) >= self.conf.ocpp_call_hold;
}

/* A call that is not known yet could be sent. */
static bool
may_send_any(const struct conn *c)
{
    return c->session.boot != BOOT_WAITS && c->session.boot != BOOT_REJECTED &&
        (c->session.boot != BOOT_NONE ||
            session_age_ms(c) >= self.conf.ocpp_call_hold);
}

/* The event command.sent is durable before the CALL leaves: so a command whose
 * outcome is not in the journal is known after any crash. calls_committed()
 * goes on. */
static void
announce(struct conn *c, struct call *k)
{
    struct publish_who who = publish_who(c);
    struct publish    *p = publish_begin(EVENT_command_sent, &who);

    writer_str(&p->w, "messageId", k->id);
    writer_str(&p->w, "action", k->action);
    writer_open(&p->w, "payload", '{');
    writer_str(&p->w, "commandId", k->command_id);
    writer_str(&p->w, "action", k->action);
    writer_str(&p->w, "origin", k->queued != NULL ? "redis" : "control");
    if (k->unchecked)
        writer_bool(&p->w, "unchecked", true);
    remote_starts_sent(
        p, c->session.entry, k->action, k->payload, k->command_id);
    writer_close(&p->w);
    k->announced = publish_end(p); /* 0: the sweep tries again */
    if (k->announced == 0)
        return;
    if (announced_n == announced_cap) {
        size_t            cap = announced_cap ? 2 * announced_cap : 64;
        struct announced *a = realloc(announced, cap * sizeof *a);
        if (a == NULL)
            return;
        announced = a;
        announced_cap = cap;
    }
    announced[announced_n++] = (struct announced){c->self, k->announced};
}

void
calls_pump(struct conn *c)
{
    static struct buf frame = {.max = CHANNEL_BODY_MAX + 256};

    if (c->state != CONN_OPEN || self.frozen)
        return;
    if (c->busy == NULL || c->busy->session.calls == NULL) {
        if (may_send_any(c))
            call_queue_pull(c);
        return;
    }
    struct call *k = c->busy->session.calls;
    if (k->sent || !may_send(c, k) ||
        c->busy->out.len + frame_size(k) > self.conf.websocket_max_output_size)
        return;
    if (k->announced == 0) {
        if (auth_command_goes(c, k->identity, k->action, k->payload))
            announce(c, k);
        return;
    }
    if (k->announced > journal_committed())
        return;
    buf_clear(&frame);
    ocppj_put_call(&frame, k->id, strlen(k->id), k->action, k->payload,
        strlen(k->payload));
    k->sent = true;
    k->sent_ms = self.now_ms;
    if (k->m != NULL)
        STAT_INC(self.st, commands_sent[k->m->action]);
    tap_frame(c, TAP_OUT, frame.p, frame.len, "command");
    if (!conn_send_text(c, frame.p, frame.len))
        log_warn("%s: no memory for the CALL of a command", k->identity);
}

void
calls_committed(uint64_t number)
{
    size_t n = 0;

    while (n < announced_n && announced[n].number <= number)
        n++;
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct conn *c = conn_find(announced[i].conn);
        if (c == NULL)
            continue;
        calls_pump(c);
        conn_settle(c);
    }
    /* calls_pump() may have added some. */
    memmove(announced, announced + n, (announced_n - n) * sizeof announced[0]);
    announced_n -= n;
}

/* The charge point does, or did, what the command asked for. */
static bool
accepted(const struct ocppj_frame *f, const struct json *tape)
{
    if (f->type == OCPPJ_CALLERROR)
        return false;
    return dialect_accepted(tape, f->payload_tok);
}

/* The charge point sends what the command has asked for, though its boot is
 * Pending. */
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

/* CALLRESULTERROR, for a CALLRESULT of OCPP 2.1 that cannot be used. */
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

/* Value tok of an answer, as valid JSON without secrets; a payload of null is
 * {}. Nothing for tok 0. */
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
    if (out->overflow) /* finish() reports that it was cut */
        return (struct ocppj_span){NULL, 0};
    return (struct ocppj_span){out->p, out->len};
}

void
calls_spoiled(struct conn *c, const struct ocppj_frame *f)
{
    struct call *k = c->busy ? c->busy->session.calls : NULL;

    if (f->verdict != OCPPJ_MALFORMED || !in_flight(k, f))
        return;
    calls_pop(c);
    if (f->type == OCPPJ_CALLRESULT)
        answer_result(c, f, OCPPJ_FORMATION_VIOLATION, f->why);
    calls_finish_plain(k, OUTCOME_error,
        ocppj_error_word(
            OCPPJ_FORMATION_VIOLATION, dialects[c->session.protocol].spelling),
        f->why);
    calls_pump(c);
}

/* The memory of an unusually long answer is given back. */
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
        tap_frame(
            c, TAP_IN, tape->text, tape->len, "late: no command waits for it");
        violation_report(c, "late_result", "an answer to no CALL in flight",
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
    auth_command_ended(k->identity, k->action, k->payload, accepted(f, tape));
    if (!accepted(f, tape))
        remote_starts_refused(c->session.entry, k->action, k->command_id);
    if (f->type == OCPPJ_CALLERROR) {
        STAT_INC(self.st, call_errors_received[f->code]);
        finish(k, OUTCOME_error, none, f->code_word,
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
        finish(k, OUTCOME_result, repaired(&payload, f, tape, f->payload_tok),
            none, none, none);
    }
    keep_little(&payload);
    keep_little(&description);
    keep_little(&details);
    calls_pump(c);
}

void
calls_tick(struct conn *c)
{
    struct call **p = &c->busy->session.calls;

    while (*p != NULL) {
        struct call *k = *p;
        if (self.now_ms - k->taken_ms < k->timeout_ms) {
            p = &k->next;
            continue;
        }
        *p = k->next;
        c->busy->session.calls_n--;
        if (k->sent)
            calls_finish_plain(k, OUTCOME_timeout, NULL, "");
        else
            calls_finish_plain(k, OUTCOME_expired, NULL, "");
    }
    calls_pump(c);
}

void
calls_drop(struct conn *c)
{
    while (c->busy != NULL && c->busy->session.calls != NULL) {
        struct call *k = calls_pop(c);
        calls_finish_plain(
            k, k->sent ? OUTCOME_uncertain : OUTCOME_offline, NULL, "");
    }
}

/* --- commands of dead workers, without connection ---------------------------- */

void
calls_recovered(uint64_t id_hash)
{
    if (recovered_n == recovered_cap) {
        size_t    cap = recovered_cap ? 2 * recovered_cap : 256;
        uint64_t *p = realloc(recovered, cap * sizeof *p);
        if (p == NULL)
            return;
        recovered = p;
        recovered_cap = cap;
    }
    recovered[recovered_n++] = id_hash;
}

void
calls_recover(const char *line, size_t len)
{
    static const char type[] = "\"command.response\"";
    const char       *value, *id;
    size_t            n, id_len;

    if (!journal_line_field(line, len, "eventType", &value, &n) ||
        n != sizeof type - 1 || memcmp(value, type, n) != 0 ||
        !journal_line_field(line, len, "payload", &value, &n) ||
        !journal_line_field(value, n, "commandId", &id, &id_len))
        return;
    calls_recovered(hash_sum(id, id_len, 0));
}

void
calls_forget_recovered(void)
{
    free(recovered);
    recovered = NULL;
    recovered_n = recovered_cap = 0;
}

/* A connection here has the call of this request of the master. */
static bool
is_held(uint64_t request)
{
    for (uint32_t i = 0; i < conn_high(); i++) {
        const struct conn *c = conn_at(i);
        if (c->state != CONN_OPEN || c->busy == NULL)
            continue;
        for (const struct call *k = c->busy->session.calls; k != NULL;
             k = k->next)
            if (k->request == request)
                return true;
    }
    return false;
}

void
calls_settle(const struct channel_msg *msg, const char *body)
{
    struct call *k = make_of_datagram(msg, body);

    if (k == NULL) {
        log_error(
            "no memory for a command's outcome; its client will time out");
        return;
    }
    if (is_held(msg->id)) {
        /* It has come from the former process of this slot, and goes on. */
        STAT_DEC(self.st, commands_pending);
        free(k);
        return;
    }
    struct buf quoted = BUF_INIT(1024);
    writer_quote(&quoted, k->command_id, strlen(k->command_id));
    uint64_t h = hash_sum(quoted.p, quoted.len, 0);
    buf_free(&quoted);
    for (size_t i = 0; i < recovered_n; i++)
        if (recovered[i] == h) {
            /* Its outcome is durable already; only the client missed it. */
            master_link_done(k->request, (unsigned)msg->arg, "{}", 2);
            STAT_DEC(self.st, commands_pending);
            free(k);
            return;
        }
    ensure(msg->arg < OUTCOMES);
    calls_finish_plain(k, (enum outcome)msg->arg, NULL, "");
}
