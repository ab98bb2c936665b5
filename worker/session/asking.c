/* asking: questions to the platform, and their answers. See asking.h. */
#include "session/asking.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/self.h"
#include "clock.h"
#include "fleet/questions.h"
#include "fleet/redis.h"
#include "fleet/starts.h"
#include "log.h"
#include "ocpp/event_kind.h"
#include "ocpp/tape.h"
#include "ocpp/transaction.h"
#include "session/answer.h"
#include "session/parked.h"
#include "session/platform.h"
#include "session/tap.h"

#define CLOSE_MS 1000 /* ms that Redis has to close a question */

/* There is an answer to a question that could not be sent yet. */
static bool unsent;

/* --- asking ----------------------------------------------------------- */

bool
asking_possible(const struct answer *a)
{
    return questions_reachable(a->subject.identity, a->subject.identity_len);
}

static void
question_token(const struct answer *a, uint64_t number, char *out, size_t size)
{
    const uint64_t *fp = a->effect.fingerprint;
    char            id[64];

    /* The part of the token before the point depends only on the start, not on
     * the worker that asks, so an answer to the first question also answers a
     * repeated one. An equal start after the end of its transaction is a new
     * question and gets another token. ocppd_gateway.lua finds the start by its
     * fingerprint here. */
    if (schema_is_remembered(a->m))
        snprintf(id, sizeof id, "%c%016" PRIx64 "%016" PRIx64 ".%" PRIx64,
            a->about_token ? 't' : 's', fp[0], fp[1], number);
    else
        snprintf(id, sizeof id, "%" PRIx64, number);
    questions_token(out, size, id);
}

/* Writes the event that asks. Returns its number, 0 if the journal does not
   accept it. */
static uint64_t
publish_question(struct answer *a, const char *token)
{
    const struct schema_message *authorize =
        dialect_authorize(&dialects[a->protocol]);

    if (a->subject.identity == registry_no_name)
        return 0;
    struct publish *p = publish_begin(EVENT_asked, &a->subject);
    if (a->about_token) {
        writer_strn(&p->w, "messageId", a->f->id, a->f->id_len);
        writer_str(&p->w, "action", authorize->name);
        writer_open(&p->w, "payload", '{');
        dialect_put_token(&p->w, a->tape, a->f->payload_tok);
        writer_close(&p->w);
        writer_strn(&p->w, "cause", a->m->name, a->m->name_len);
    } else {
        publish_call(p, a->m, a->f, a->tape);
    }
    /* This must be the last member, because ocppd_gateway.lua looks for it at
     * the end. */
    writer_str(&p->w, "replyToken", token);
    return publish_end(p);
}

/* False if the platform cannot be asked after all. */
bool
asking_ask(struct answer *a)
{
    uint64_t number = atomic_fetch_add(&self.shm->sequence, 1);
    char     token[PLATFORM_TOKEN_MAX];

    question_token(a, number, token, sizeof token);
    struct question *q =
        platform_find_same(a->subject.identity, a->subject.identity_len, token);
    if (q != NULL) /* the registry keeps only the newest starts and has
                    * forgotten this one */
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
        registry_start_ask(self.registry, a->entry,
            transaction_kind(a->m->event), q->fingerprint, self.slot, number);
    return true;
}

/* Finds the question that this worker has asked about the start. */
struct question *
asking_find(struct answer *a)
{
    char             token[PLATFORM_TOKEN_MAX];
    struct question *q = NULL;

    for (int i = 0; q == NULL && i < 2; i++) {
        a->about_token = i;
        question_token(a, 0, token, sizeof token);
        q = platform_find_same(
            a->subject.identity, a->subject.identity_len, token);
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

enum answered { ANSWERED_LATER, ANSWERED, ANSWERED_ELSEWHERE };

/* Writes the answer to a question: the platform's, or the fallback. LATER if
 * there is no transaction id now. */
static enum answered
answer_question(
    struct answer *a, const struct question *q, const char *text, size_t len)
{
    if (text != NULL)
        answer_note_verdict(a, text, len);
    if (text == NULL || q->about_token) {
        if (text != NULL)
            a->token_info = answer_token_info(text, len);
        return answer_alone(a) ? ANSWERED : ANSWERED_LATER;
    }
    if (q->starts) {
        answer_set_remembered(a, text, len);
    } else {
        answer_set_payload(text, len);
        answer_find_effect(a);
    }
    return ANSWERED;
}

/* Writes the answer, and proposes it to Redis. LATER while Redis is being
 * asked, and if answer_question() returns that. */
static enum answered
propose(
    struct answer *a, const struct question *q, const char *text, size_t len)
{
    const char   *name = a->subject.identity;
    size_t        n = a->subject.identity_len;
    enum answered how = answer_question(a, q, text, len);

    if (how != ANSWERED || !redis_on())
        return how;
    if (starts_possible(name, n) &&
        starts_ask(name, n, q->fingerprint, answer_payload.p,
            answer_payload.len, a->c == NULL))
        return ANSWERED_LATER;
    answer_mark_unchecked(a);
    return ANSWERED;
}

/* Writes the answer to a message of a transaction. If the charge point has sent
 * the message to another gateway while the platform was asked, the answer that
 * was given or reserved first is used; if it has also ended the transaction
 * there, this CALL gets no answer. LATER while Redis is being asked, and if
 * answer_question() returns that. */
static enum answered
answer_start(
    struct answer *a, const struct question *q, const char *text, size_t len)
{
    static struct starts_reply reply;

    switch (answer_look_up(a, q->fingerprint, &reply)) {
    case STARTS_PENDING:
        return ANSWERED_LATER;
    case STARTS_DRAFT:
    case STARTS_KNOWN:
        a->by = "gateway";
        break;
    case STARTS_UNREACHABLE:
        answer_mark_unchecked(a);
        if (reply.len == 0)
            return answer_question(a, q, text, len);
        break;
    case STARTS_STOPPED:
        if (a->c == NULL)
            return ANSWERED_ELSEWHERE;
        return propose(a, q, text, len);
    case STARTS_NEW:
        if (reply.len > 0)
            break;
        /* fall through */
    case STARTS_NONE:
        return propose(a, q, text, len);
    }
    answer_set_remembered(a, reply.answer, reply.len);
    return ANSWERED;
}

/* Answers the CALL of a question with the platform's answer, or with the
 * fallback if that is NULL. The question is over then. False if this is not
 * possible now, because Redis is
 * being asked, the journal is full or there is no transaction id. */
static bool
give(struct question *q, const char *text, size_t len)
{
    struct ocppj_frame f;
    struct conn       *c = conn_find(q->conn);
    struct json  *tape = answer_cut(q->protocol, q->frame, q->frame_len, &f);
    struct answer a = {.c = c,
        .entry = q->entry,
        .protocol = q->protocol,
        .f = &f,
        .tape = tape,
        .deviations = q->deviations,
        .since_us = q->since_us,
        .by = text ? "platform" : "fallback",
        .about_token = q->about_token,
        .token = q->token,
        .subject = {q->identity, q->identity_len,
            c ? c->generation : q->generation, dialects[q->protocol].name,
            q->entry + 1}};

    if (c != NULL && publish_subject(c).identity == registry_no_name)
        a.subject.identity = registry_no_name;
    a.m = schema_find(dialects[q->protocol].schema, f.action.p, f.action.len);
    a.kind = event_kind_of(a.m, tape, f.payload_tok);
    memcpy(a.effect.fingerprint, q->fingerprint, sizeof q->fingerprint);
    enum answered how = q->starts ? answer_start(&a, q, text, len)
                                  : answer_question(&a, q, text, len);
    bool          given = how == ANSWERED && answer_commit(&a);
    tape_return(tape);
    if (how == ANSWERED_ELSEWHERE) {
        if (text != NULL)
            log_warn("%.*s: an answer to a StartTransaction is not used: its "
                     "transaction has begun and ended at another gateway",
                q->identity_len, q->identity);
        forget_question(q);
        return true;
    }
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
    platform_remove(q); /* the registry has the start as a draft now */
    return true;
}

/* The reason why an answer of the platform cannot be used; NULL if it can. */
static const char *
wrong(const struct question *q, const char *text, size_t len)
{
    static struct schema_verdict v;
    static char                  why[SCHEMA_PATH_MAX + SCHEMA_TEXT_MAX + 8];
    const struct dialect        *d = &dialects[q->protocol];
    const struct schema_message *m = dialect_authorize(d);
    struct ocppj_frame           f;
    const char                  *words = NULL;

    struct json *tape = answer_cut(q->protocol, q->frame, q->frame_len, &f);
    if (!q->about_token)
        m = schema_find(d->schema, f.action.p, f.action.len);
    tape_return(tape);
    tape = tape_borrow(TAPE_MESSAGE);
    if (!json_scan(tape, text, len)) {
        words = "it is not JSON";
    } else if (tape->deviations != 0 || tape->newline) {
        words = "it must be valid JSON on one line";
    } else if (!answer_can_be_sent(len)) {
        words = "it is longer than websocket.max_output_size permits";
    } else if (!schema_check(m, SCHEMA_RESPONSE, tape, 0, OCPPJ_STRICT, &v)) {
        snprintf(
            why, sizeof why, "%s%s%s", v.path, v.path[0] ? ": " : "", v.text);
        words = why;
    } else if (schema_is_remembered(m) && m->event != EVENT_tx_stopped &&
        len > REGISTRY_ANSWER_MAX) {
        words = "it is longer than 190 bytes; answers to StartTransaction and "
                "TransactionEvent are kept, and must be shorter";
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
asking_answered(const char *token, const char *text, size_t len)
{
    struct question *q = platform_find(token);

    if (q == NULL || q->state == QUESTION_ANSWERED ||
        q->state == QUESTION_OVER) {
        STAT_INC(self.st, platform_refused);
        return;
    }
    struct conn *c = conn_find(q->conn);
    if (self.frozen && wrong(q, text, len) == NULL) {
        /* A new event would delay the hand-over, so the successor sends the
         * answer. */
        if (platform_keep(q, text, len))
            q->state = QUESTION_ANSWERED;
        unsent = true;
        return;
    }
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

/* Another gateway has asked the same since, or has answered it. If the charge
 * point has come back and its CALL waits here, the CALL is handled from the
 * beginning. */
static void
start_over(struct question *q)
{
    struct conn *c = conn_find(q->conn);

    /* If the CALL cannot be kept, the charge point sends it again. */
    if (c != NULL && c->state == CONN_OPEN)
        parked_put(c, q->frame, q->frame_len, 0, false);
    forget_question(q);
}

void
asking_closed(
    const char *token, enum question_closed how, const char *text, size_t len)
{
    struct question *q = platform_find(token);

    if (q == NULL ||
        (q->state != QUESTION_CLOSING &&
            (q->state != QUESTION_OPEN || how != QUESTION_CLOSED_MOVED)))
        return;
    if (how == QUESTION_CLOSED_MOVED)
        start_over(q);
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

/* Questions are in order of time, so the loop stops at the first one that is
 * not due, unless there are answers that could not be sent. */
void
asking_inherited(void)
{
    unsent = true;
}

void
asking_tick(void)
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
