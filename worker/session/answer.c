/* answer: one answer, from its payload to its event. See answer.h. */
#include "session/answer.h"

#include <string.h>

#include "base/self.h"
#include "clock.h"
#include "fleet/starts.h"
#include "fleet/transaction_ids.h"
#include "hash.h"
#include "log.h"
#include "ocpp/default_answer.h"
#include "ocpp/tape.h"
#include "ocpp/transaction.h"
#include "session/remote_starts.h"
#include "session/verdicts.h"
#include "session/violation.h"

#define PAYLOAD_MAX (256u << 10)

/* An answer may repeat parts of its message. Only the answer to a message of
 * more bytes than this can be too long. */
#define ANSWER_REPEATS_MIN 4096

/* Bytes of the longest frame around a payload: the id, and the frame's header.
 */
#define FRAME_REST (OCPPJ_ID_ECHO_MAX + 32)

struct buf answer_payload = {.max = PAYLOAD_MAX};
struct buf answer_frame = {.max = PAYLOAD_MAX + FRAME_REST};

/* --- the payload --------------------------------------------------------- */

/* The interval with jitter. It is the same for a charge point at each boot, so
 * that the times of its heartbeats stay the same, and differs between charge
 * points. */
static uint64_t
heartbeat_interval_s(const struct answer *a)
{
    uint64_t base = self.conf.ocpp_heartbeat_interval / 1000;
    uint64_t span = base * self.conf.ocpp_heartbeat_jitter / 100;
    uint64_t s = base - span +
        hash_sum(a->subject.identity, a->subject.identity_len, 0) %
            (2 * span + 1);

    return s > 0 ? s : 1;
}

/* Writes the payload of the gateway's own answer. */
static void
write_payload(struct answer *a)
{
    char                  now[CLOCK_RFC3339_LEN + 1];
    struct writer         w = WRITER_INIT(&answer_payload);
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
    buf_clear(&answer_payload);
    writer_open(&w, NULL, '{');
    default_answer_put(&w, &in);
    writer_close(&w);
}

bool
answer_can_be_sent(size_t len)
{
    return len + FRAME_REST <= self.conf.websocket_max_output_size;
}

bool
answer_fits(struct answer *a)
{
    if (a->tape->len < ANSWER_REPEATS_MIN)
        return true;
    write_payload(a);
    return !answer_payload.overflow && answer_can_be_sent(answer_payload.len);
}

void
answer_set_payload(const char *text, size_t len)
{
    buf_clear(&answer_payload);
    buf_add(&answer_payload, text, len);
}

int32_t
answer_transaction(const char *text, size_t len)
{
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    int64_t      id = 0;

    if (json_scan(tape, text, len))
        json_int64(tape, json_member(tape, 0, "transactionId", 13), &id);
    tape_return(tape);
    return (int32_t)id;
}

/* Remembers the message with its answer, if its kind is remembered. */
static void
remember(struct answer *a)
{
    int64_t id = 0;

    if (!schema_is_remembered(a->m))
        return;
    a->effect.remember = true;
    a->effect.kind = transaction_kind(a->m->event);
    if (a->effect.kind != REGISTRY_START_STOP)
        return;
    json_int64(a->tape,
        json_member(a->tape, a->f->payload_tok, "transactionId", 13), &id);
    a->effect.transaction = id == (int32_t)id ? (int32_t)id : 0;
}

/* Finds whether another gateway has answered the message. An answer in Redis
 * that the charge point must not get counts as if Redis could not be asked. */
enum starts_found
answer_look_up(const struct answer *a, const uint64_t fingerprint[2],
    struct starts_reply *reply)
{
    static struct schema_verdict v;
    enum starts_found            found = starts_look(
                   a->subject.identity, a->subject.identity_len, fingerprint, reply);

    if (found != STARTS_DRAFT && found != STARTS_KNOWN)
        return found;
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    int64_t      id;
    bool         good = json_scan(tape, reply->answer, reply->len) &&
        schema_check(a->m, SCHEMA_RESPONSE, tape, 0, OCPPJ_STRICT, &v) &&
        (a->m->event != EVENT_tx_started ||
            !json_int64(tape, json_member(tape, 0, "transactionId", 13), &id) ||
            (id >= INT32_MIN && id <= INT32_MAX));
    tape_return(tape);
    if (good)
        return found;
    reply->len = 0;
    return STARTS_UNREACHABLE;
}

void
answer_set_remembered(struct answer *a, const char *text, size_t len)
{
    answer_set_payload(text, len);
    if (a->m->event == EVENT_tx_started)
        a->effect.transaction = answer_transaction(text, len);
    remember(a);
    answer_find_effect(a);
}

/* Cuts a frame that was kept into its parts. The caller gives the tape back
 * with tape_return(). */
struct json *
answer_cut(
    unsigned protocol, const char *text, size_t len, struct ocppj_frame *f)
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

/* The verdict on a token in an answer; {NULL, 0} if there is none. */
struct ocppj_span
answer_token_info(const char *text, size_t len)
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

/* Remembers the platform's verdict on the CALL's token. */
void
answer_note_verdict(const struct answer *a, const char *text, size_t len)
{
    char              token[256];
    size_t            token_len = 0;
    struct ocppj_span info = answer_token_info(text, len);

    if (info.p != NULL && token_of(a, token, sizeof token, &token_len))
        verdicts_put(a->subject.identity, a->subject.identity_len, token,
            token_len, info.p, info.len);
}

/* The platform's last verdict on the CALL's token, if it still holds. */
bool
answer_find_verdict(struct answer *a)
{
    char   token[256];
    size_t len = 0;

    if (!token_of(a, token, sizeof token, &len))
        return false;
    const struct verdict *v =
        verdicts_get(a->subject.identity, a->subject.identity_len, token, len);
    if (v == NULL || has_expired(v->info, v->len))
        return false;
    a->token_info = (struct ocppj_span){v->info, v->len};
    return true;
}

/* --- the CALL's event ---------------------------------------------------- */

/* True for messages that a charge point keeps and sends again until they are
 * answered. Without an answer it uses up its attempts. */
bool
answer_is_urgent(const struct answer *a)
{
    return a->kind == EVENT_tx_started || a->kind == EVENT_tx_updated ||
        a->kind == EVENT_tx_stopped || a->kind == EVENT_meter_values;
}

/* Writes the event that holds the answer. Returns its number, 0 if the journal
   does not accept it. */
static uint64_t
publish(struct answer *a)
{
    struct deferred_effect *e = &a->effect;

    /* The registry entry has lost its name, so nothing may be acknowledged. The
     * sweep ends the connection, and the charge point sends its CALL again. */
    if (a->subject.identity == registry_no_name)
        return 0;
    struct publish *p = publish_begin(a->kind, &a->subject);
    publish_call(p, a->m, a->f, a->tape);
    writer_raw(&p->w, "answer", answer_payload.p, answer_payload.len);
    writer_str(&p->w, "answeredBy", a->by);
    if (transaction_is_kind(a->kind))
        transaction_put(&p->w, a->kind, a->tape, a->f->payload_tok,
            answer_payload.p, answer_payload.len, remote_starts_command(a));
    violation_put(&p->w, a->deviations);
    /* This must be the last member, because ocppd_gateway.lua looks for it at
     * the end. */
    if (a->token != NULL)
        writer_str(&p->w, "question", a->token);
    /* Store the start in the registry before the event can become durable.
     * Otherwise another worker could miss it, and begin a second transaction.
     */
    uint64_t number = p->number;
    if (e->remember)
        registry_start_draft(self.registry, a->entry, e->kind, e->fingerprint,
            self.slot, number, e->transaction, answer_payload.p,
            answer_payload.len);
    if (publish_end(p) != 0)
        return number;
    if (e->remember)
        registry_start_drop(self.registry, a->entry, e->fingerprint, number);
    return 0;
}

/* Publishes the event with the answer in `payload`; the answer is sent when the
 * event is durable. False if the journal does not accept it. */
bool
answer_commit(struct answer *a)
{
    uint64_t number = publish(a);

    if (number == 0)
        return false;
    buf_clear(&answer_frame);
    ocppj_put_result(
        &answer_frame, a->f->id_raw, answer_payload.p, answer_payload.len);
    if (!deferred_answer(number, a->c, a->entry, a->subject.generation,
            answer_frame.p, answer_frame.len, answer_payload.len, a->since_us,
            answer_is_urgent(a), &a->effect))
        log_error("no memory for an answer; the charge point sends its CALL "
                  "again");
    return true;
}

/* --- without the platform ----------------------------------------------- */

bool
answer_asks_about_tokens(const struct answer *a)
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

void
answer_mark_unchecked(struct answer *a)
{
    uint64_t bit = DEVIATION_BIT(start_unchecked);

    if (a->c != NULL && !(a->deviations & bit))
        violation_count(a->c, bit);
    a->deviations |= bit;
}

/* Finds the effects of the payload that is sent. */
void
answer_find_effect(struct answer *a)
{
    int64_t  id;
    uint32_t tx;

    if (a->m->event == EVENT_booted) {
        boot_effect(a, answer_payload.p, answer_payload.len);
    } else if (a->m->event == EVENT_tx_stopped) {
        tx = json_member(a->tape, a->f->payload_tok, "transactionId", 13);
        if (tx != 0 && json_int64(a->tape, tx, &id) && id >= INT32_MIN &&
            id <= INT32_MAX) {
            a->effect.what = DEFERRED_STOP;
            a->effect.transaction = (int32_t)id;
        }
    }
}

/* Writes the payload of the gateway's own answer. False if there is no
 * transaction id now. */
bool
answer_alone(struct answer *a)
{
    bool starts = a->m->event == EVENT_tx_started;

    /* With Authorize = platform the gateway does not judge tokens. In the
     * answer to a stop the verdict is optional, so it is omitted. */
    if ((a->m->flags & SCHEMA_ANSWERS_TOKEN) && a->token_info.p == NULL &&
        a->m->event != EVENT_authorization && answer_asks_about_tokens(a) &&
        !answer_find_verdict(a)) {
        if (starts)
            a->by = "fallback";
        else
            a->no_token_info = true;
    }
    if (starts && !transaction_ids_next(&a->effect.transaction))
        return false;
    write_payload(a);
    remember(a);
    answer_find_effect(a);
    return true;
}
