/* call_queue: commands from the queues in Redis. See call_queue.h. */
#include "fleet/call_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "base/up.h"
#include "clock.h"
#include "fleet/redis.h"
#include "fleet/releases.h"
#include "fleet/shards.h"
#include "journal/journal_id.h"
#include "ocpp/ocppj.h"

/* Ms for which reported outcomes are kept, so that they can be repeated to a
 * server that has lost them. */
#define RECENT_MS 10000
#define RECENT_MAX 4096
#define ID_MAX 64
#define ACTION_MAX 64

enum queued_call_state { TAKING, TAKEN, ENDED, REPORTED };

struct queued_call {
    struct queued_call    *next;
    enum queued_call_state state;
    cref                   conn;
    uint64_t               epoch;
    uint16_t               shard;
    uint8_t                len;
    bool                   leaving; /* TAKING: the connection has ended */
    unsigned               reason;  /* the reason for leaving */
    enum outcome           outcome;
    uint32_t               duration_ms;
    uint32_t               said_ms;
    size_t                 detail_len;
    char                  *detail;
    char                   identity[IDENTITY_MAX];
    char                   id[ID_MAX + 1];
    char                   action[ACTION_MAX + 1];
    char                   event_id[96];
    char                   message_id[OCPPJ_ID_MAX + 1];
    char                   timestamp[CLOCK_RFC3339_LEN + 1];
};

/* Calls in the state ENDED, which must be reported to Redis, and calls in the
 * state REPORTED, which Redis has acknowledged. */
static struct queued_call *unsaid, **unsaid_last = &unsaid;
static struct queued_call *recent, **recent_last = &recent;
static unsigned            recent_n;
static uint64_t            out; /* requests (take or finish) without an
                                 * answer */

static void
discard(struct queued_call *o)
{
    free(o->detail);
    free(o);
}

const char *
call_queue_id(const struct queued_call *o)
{
    return o->id;
}

const char *
call_queue_held(const struct claim *claim)
{
    return claim->order != NULL && claim->order->state != TAKING
        ? claim->order->id
        : "";
}

bool
call_queue_has_ended(const struct claim *claim)
{
    return claim->order != NULL && claim->order->state == ENDED;
}

/* The claim of the connection for which o was taken; NULL if the connection has
 * ended. */
static struct claim *
holder(const struct queued_call *o)
{
    struct conn  *c = o->conn != 0 ? conn_find(o->conn) : NULL;
    struct claim *claim = c != NULL ? claim_of(c) : NULL;

    return claim != NULL && claim->order == o ? claim : NULL;
}

/* --- finish -------------------------------------------------------------- */

static void
put_off(struct queued_call *o)
{
    o->next = NULL;
    *unsaid_last = o;
    unsaid_last = &o->next;
    STAT_INC(self.st, outcomes_waiting);
}

/* Redis has the outcome, so that the next call can be taken. */
static void
let_go(struct queued_call *o)
{
    struct claim *claim = holder(o);

    if (claim == NULL)
        return;
    claim->order = NULL;
    up_calls_wait(conn_find(o->conn));
}

static void
finished_cb(void *ctx, const struct redis_value *v)
{
    struct queued_call *o = ctx;

    out--;
    if (v == NULL || redis_error(v) != NULL) {
        put_off(o);
        return;
    }
    let_go(o);
    bool first = o->state == ENDED;
    if (redis_is(redis_at(v, 0), "late") && first)
        STAT_INC(self.st, outcomes_late);
    if (!redis_is(redis_at(v, 0), "done") && first) {
        discard(o); /* the command waits again, or has another outcome */
        return;
    }
    if (first)
        STAT_INC(self.st, commands[o->outcome]);
    o->state = REPORTED;
    if (first)
        o->said_ms = self.now_ms;
    o->next = NULL;
    *recent_last = o;
    recent_last = &o->next;
    recent_n++;
}

/* Reports the outcome to Redis. Until Redis has it, the call stays in the claim
 * of its connection. Otherwise a claim in between would report that nothing is
 * in flight, and Redis would treat the command as not sent. While a claim is
 * in progress the epoch is not known, so the outcome waits for the claim. */
static void
finish(struct queued_call *o)
{
    struct claim *claim = holder(o);

    if (claim != NULL && !claim_is_settled(claim)) {
        put_off(o);
        return;
    }
    if (claim != NULL)
        o->epoch = claim->epoch;
    redis_begin("FCALL");
    redis_name("finish", "2");
    redis_identity(o->shard, o->identity, o->len);
    redis_addu(o->epoch);
    redis_add(o->id);
    redis_add(outcome_info[o->outcome].word);
    redis_addn(o->detail ? o->detail : "", o->detail_len);
    redis_addu(o->duration_ms);
    redis_add(o->event_id);
    redis_add(self.shm->node);
    redis_add(o->timestamp);
    redis_add(o->action);
    redis_add(o->message_id);
    if (shards[o->shard].alive && redis_send(o->shard, finished_cb, o))
        out++;
    else
        put_off(o);
}

void
call_queue_ended(struct queued_call *o, enum outcome outcome,
    const char *detail, size_t len, uint32_t duration_ms,
    const char *message_id)
{
    o->state = ENDED;
    o->outcome = outcome;
    o->duration_ms = duration_ms;
    snprintf(o->message_id, sizeof o->message_id, "%s", message_id);
    if (len > 0 && (o->detail = malloc(len)) != NULL) {
        memcpy(o->detail, detail, len);
        o->detail_len = len;
    }
    snprintf(o->event_id, sizeof o->event_id, "%016" PRIx64 "-%s",
        (uint64_t)atomic_fetch_add(&self.shm->sequence, 1),
        journal_id_of_events());
    clock_rfc3339(o->timestamp, self.wall_ms);
    finish(o);
}

/* --- take ---------------------------------------------------------------- */

/* The answer to a take for a connection that has ended: the command was not
 * sent, and the session can be released now. */
static void
taken_in_vain(struct queued_call *o, const struct redis_value *v)
{
    struct queued_call copy = *o;

    if (v != NULL && redis_is(redis_at(v, 0), "take")) {
        snprintf(o->id, sizeof o->id, "%s", redis_text(redis_at(v, 1), NULL));
        snprintf(o->action, sizeof o->action, "%s",
            redis_text(redis_at(v, 2), NULL));
        call_queue_ended(o, OUTCOME_offline, "", 0, 0, "");
    } else {
        discard(o);
    }
    releases_add(copy.identity, copy.len, copy.shard, copy.epoch,
        (enum close_reason)copy.reason);
}

static void
taken_cb(void *ctx, const struct redis_value *v)
{
    struct queued_call *o = ctx;
    struct conn        *c = conn_find(o->conn);
    struct claim       *claim = c ? claim_of(c) : NULL;
    size_t              len;

    out--;
    if (o->leaving || claim == NULL) {
        taken_in_vain(o, v);
        return;
    }
    claim->order = NULL;
    const char *word = v ? redis_text(redis_at(v, 0), NULL) : "";
    if (strcmp(word, "take") == 0) {
        snprintf(o->id, sizeof o->id, "%s", redis_text(redis_at(v, 1), NULL));
        snprintf(o->action, sizeof o->action, "%s",
            redis_text(redis_at(v, 2), NULL));
        if (redis_u64(redis_at(v, 5), UINT32_MAX) == 0)
            claim->flags &= (uint8_t)~CLAIM_WAITING;
        STAT_INC(self.st, orders_taken);
        o->state = TAKEN;
        claim->order = o;
        const char *payload = redis_text(redis_at(v, 3), &len);
        up_call_taken(c, o, o->action, payload, len);
        return;
    }
    if (strcmp(word, "none") == 0)
        claim->flags &= (uint8_t)~CLAIM_WAITING;
    else if (strcmp(word, "lost") == 0 || strcmp(word, "busy") == 0)
        claim->flags |= CLAIM_LATE; /* the next claim corrects the state in
                                       Redis */
    discard(o);
}

void
call_queue_pull(struct conn *c)
{
    struct claim *claim = claim_of(c);

    if (claim == NULL || !(claim->flags & CLAIM_WAITING) ||
        claim->order != NULL || !claim_holds(c) ||
        (claim->flags & (CLAIM_ASKED | CLAIM_LATE)) || redis_troubled())
        return;
    size_t      len;
    const char *name = registry_name(self.registry, c->session.entry, &len);
    struct queued_call *o = calloc(1, sizeof *o);
    if (o == NULL)
        return;
    o->state = TAKING;
    o->conn = c->self;
    o->epoch = claim->epoch;
    o->shard = claim->shard;
    o->len = (uint8_t)len;
    memcpy(o->identity, name, len);
    redis_begin("FCALL");
    redis_name("take", "2");
    redis_identity(claim->shard, name, len);
    redis_addu(claim->epoch);
    redis_addu(self.conf.ocpp_message_timeout);
    redis_add(self.shm->node);
    if (!redis_send(claim->shard, taken_cb, o)) {
        free(o);
        return;
    }
    out++;
    claim->order = o;
}

void
call_queue_wake(struct conn *c)
{
    struct claim *claim = claim_of(c);

    if (claim == NULL)
        return;
    claim->flags |= CLAIM_WAITING;
    up_calls_wait(c);
}

bool
call_queue_close(struct claim *claim, unsigned reason)
{
    struct queued_call *o = claim->order;

    if (o == NULL || o->state != TAKING)
        return false;
    o->leaving = true;
    o->reason = reason;
    return true;
}

/* --- over time ----------------------------------------------------------- */

static void
say_all(void)
{
    struct queued_call *o = unsaid;

    unsaid = NULL;
    unsaid_last = &unsaid;
    while (o != NULL) {
        struct queued_call *next = o->next;
        STAT_DEC(self.st, outcomes_waiting);
        finish(o);
        o = next;
    }
}

/* A new server may lack the last outcomes that its predecessor received, so the
 * recent outcomes of this shard are sent again. */
void
call_queue_ready(unsigned shard, bool new_server)
{
    struct queued_call *o = new_server ? recent : NULL;

    if (new_server) {
        recent = NULL;
        recent_last = &recent;
        recent_n = 0;
    }
    while (o != NULL) {
        struct queued_call *next = o->next;
        if (o->shard == shard) {
            put_off(o);
        } else {
            o->next = NULL;
            *recent_last = o;
            recent_last = &o->next;
            recent_n++;
        }
        o = next;
    }
    say_all();
}

void
call_queue_tick(void)
{
    while (recent != NULL &&
        (recent_n > RECENT_MAX ||
            (redis_ready(recent->shard) &&
                self.now_ms - recent->said_ms >= RECENT_MS))) {
        struct queued_call *o = recent;
        recent = o->next;
        if (recent == NULL)
            recent_last = &recent;
        recent_n--;
        discard(o);
    }
    say_all();
}

bool
call_queue_busy(void)
{
    return unsaid != NULL || out > 0;
}

/* --- the move to another process ----------------------------------------- */

void
call_queue_write(const struct queued_call *o, struct buf *to)
{
    fields_put_u64(to, "queue_epoch", o->epoch);
}

struct queued_call *
call_queue_read(struct conn *c, struct fields *f, const char *command_id,
    const char *action)
{
    struct claim       *s = claim_of(c);
    struct queued_call *o = s != NULL ? calloc(1, sizeof *o) : NULL;
    size_t              len;

    if (o == NULL)
        return NULL;
    const char *name = registry_name(self.registry, c->session.entry, &len);
    o->state = TAKEN;
    o->conn = c->self;
    o->epoch = fields_u64(f, "queue_epoch", s->epoch, UINT64_MAX);
    o->shard = s->shard;
    o->len = (uint8_t)len;
    memcpy(o->identity, name, len);
    snprintf(o->id, sizeof o->id, "%s", command_id);
    snprintf(o->action, sizeof o->action, "%s", action);
    s->order = o;
    return o;
}

void
call_queue_claim_again(struct conn *c, uint64_t epoch)
{
    struct claim *claim = claim_of(c);
    size_t        len;
    const char   *name = registry_name(self.registry, c->session.entry, &len);
    struct queued_call *o = unsaid;

    while (o != NULL &&
        (o->conn != 0 || o->state != ENDED || o->epoch != epoch ||
            o->len != len || memcmp(o->identity, name, len) != 0))
        o = o->next;
    if (o == NULL)
        return;
    o->conn = c->self;
    claim->order = o;
}

void
call_queue_put(struct buf *to)
{
    for (const struct queued_call *o = unsaid; o != NULL; o = o->next) {
        fields_begin(to, "finish");
        fields_put_bytes(to, "identity", o->identity, o->len);
        const struct claim *claim = holder(o);
        fields_put_u64(to, "epoch", claim != NULL ? claim->epoch : o->epoch);
        fields_put_str(to, "id", o->id);
        fields_put_str(to, "action", o->action);
        fields_put_str(to, "outcome", outcome_info[o->outcome].word);
        fields_put_bytes(to, "detail", o->detail, o->detail_len);
        fields_put_u64(to, "duration", o->duration_ms);
        fields_put_str(to, "event_id", o->event_id);
        fields_put_str(to, "message_id", o->message_id);
        fields_put_str(to, "timestamp", o->timestamp);
        fields_put_u64(to, "reported", o->state == REPORTED);
        fields_end(to);
    }
}

bool
call_queue_take(struct fields *f)
{
    if (strcmp(f->word, "finish") != 0)
        return false;
    const struct field *identity = fields_find(f, "identity");
    const struct field *detail = fields_find(f, "detail");
    const char         *word = fields_str(f, "outcome", 32);
    struct queued_call *o = calloc(1, sizeof *o);
    unsigned            outcome = 0;

    while (outcome < OUTCOMES && strcmp(outcome_info[outcome].word, word) != 0)
        outcome++;
    if (o == NULL || identity == NULL || identity->len == 0 ||
        identity->len > sizeof o->identity || outcome == OUTCOMES) {
        free(o);
        return true;
    }
    o->state = fields_bool(f, "reported", false) ? REPORTED : ENDED;
    o->outcome = (enum outcome)outcome;
    o->len = (uint8_t)identity->len;
    memcpy(o->identity, identity->value, identity->len);
    o->shard = (uint16_t)redis_shard(o->identity, o->len);
    o->epoch = fields_u64(f, "epoch", 0, UINT64_MAX);
    o->duration_ms = (uint32_t)fields_u64(f, "duration", 0, UINT32_MAX);
    snprintf(o->id, sizeof o->id, "%s", fields_str(f, "id", ID_MAX));
    snprintf(
        o->action, sizeof o->action, "%s", fields_str(f, "action", ACTION_MAX));
    snprintf(o->event_id, sizeof o->event_id, "%s",
        fields_str(f, "event_id", sizeof o->event_id - 1));
    snprintf(o->message_id, sizeof o->message_id, "%s",
        fields_str(f, "message_id", OCPPJ_ID_MAX));
    snprintf(o->timestamp, sizeof o->timestamp, "%s",
        fields_str(f, "timestamp", CLOCK_RFC3339_LEN));
    if (detail != NULL && detail->len > 0 &&
        (o->detail = malloc(detail->len)) != NULL) {
        memcpy(o->detail, detail->value, detail->len);
        o->detail_len = detail->len;
    }
    put_off(o);
    return true;
}
