/* decision: how a CALL is answered. See decision.h. */
#include "session/decision.h"

#include "base/self.h"
#include "fleet/redis.h"
#include "fleet/starts.h"
#include "ocpp/dialect.h"
#include "ocpp/transaction.h"
#include "session/asking.h"
#include "session/transactions.h"

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

/* The answer of the gateway itself, without the platform. */
static enum decision
decide_alone(struct answer *a)
{
    return answer_alone(a) ? DECISION_COMMITTED : DECISION_LATER;
}

static enum decision
decide_new_start(struct answer *a)
{
    if (!asks_about_start(a))
        return decide_alone(a);
    return asking_possible(a) ? DECISION_ASK : decision_unasked(a);
}

/* Gives the proposed answer, which Redis has confirmed or replaced. */
static enum decision
decide_proposed_start(struct answer *a, const struct starts_reply *reply)
{
    if (dialect_asks_platform(a->m) ||
        (answer_asks_about_tokens(a) && !answer_find_verdict(a)))
        a->by = "fallback";
    a->about_token = false;
    answer_set_remembered(a, reply->answer, reply->len);
    return DECISION_COMMITTED;
}

/* Decides about a start that is unknown to this gateway. Another gateway may
 * have answered it. */
static enum decision
decide_start_of_fleet(struct answer *a)
{
    static struct starts_reply reply;
    const char                *name = a->subject.identity;
    size_t                     len = a->subject.identity_len;
    bool                       asks = asks_about_start(a) && asking_possible(a);
    bool                       proposed = false;

    switch (answer_look_up(a, a->effect.fingerprint, &reply)) {
    case STARTS_PENDING:
        return DECISION_LATER;
    case STARTS_NEW:
        if (reply.len > 0)
            return decide_proposed_start(a, &reply);
        /* fall through */
    case STARTS_STOPPED:
        if (asks)
            return DECISION_ASK;
        /* The platform was to be asked, and cannot be asked any more or need
         * not be. */
        /* fall through */
    case STARTS_NONE:
        if (!starts_possible(name, len))
            break;
        a->about_token = false;
        buf_clear(&answer_payload);
        if (!asks && !answer_alone(a))
            return DECISION_LATER;
        if (starts_ask(name, len, a->effect.fingerprint, answer_payload.p,
                answer_payload.len, false))
            return DECISION_LATER;
        break;
    case STARTS_DRAFT:
        /* The gateway that gave the answer may have died before its event was
         * durable, so this one makes an event too. Of two events with the same
         * answer only the first that is shipped enters the stream. */
        STAT_INC(self.st, starts_resent);
        a->about_token = false;
        answer_set_remembered(a, reply.answer, reply.len);
        return DECISION_COMMITTED;
    case STARTS_KNOWN:
        STAT_INC(self.st, starts_resent);
        answer_set_payload(reply.answer, reply.len);
        return DECISION_NOW;
    case STARTS_UNREACHABLE:
        proposed = reply.len > 0;
        break;
    }
    answer_mark_unchecked(a);
    return proposed ? decide_proposed_start(a, &reply) : decide_new_start(a);
}

/* Finds whether the transaction of a start that this gateway knows has ended.
 * It may have ended at another gateway to which the charge point was connected
 * since then. False while Redis is being asked about that. */
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
            !starts_ask(name, len, a->effect.fingerprint, "", 0, false);
    case STARTS_PENDING:
        return false;
    case STARTS_STOPPED:
        *ended = true;
        return true;
    default:
        return true;
    }
}

static enum decision
answer_known(struct answer *a, const struct registry_start *start)
{
    bool ended = false;

    if (redis_on() && a->m->event == EVENT_tx_started && !find_end(a, &ended))
        return DECISION_LATER;
    if (ended) {
        registry_start_stop(self.registry, a->entry,
            answer_transaction(start->answer, start->len), start->number + 1);
        return DECISION_LATER; /* the transaction has ended, so this start
                                * begins a new one */
    }
    STAT_INC(self.st, starts_resent);
    answer_set_payload(start->answer, start->len);
    return DECISION_NOW;
}

static enum decision
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
        return DECISION_COMMITTED;
    case TRANSACTION_ASKED:
        a->after = start.number;
        return DECISION_ASKED;
    case TRANSACTION_UNSURE:
        return DECISION_LATER;
    case TRANSACTION_NEW:
        break;
    }
    /* To messages other than a start, each gateway gives the same answer by
     * itself, so Redis is not asked about them. */
    return redis_on() &&
            (a->m->event == EVENT_tx_started || asks_about_start(a))
        ? decide_start_of_fleet(a)
        : decide_new_start(a);
}

enum decision
decision_unasked(struct answer *a)
{
    a->by = "fallback";
    a->about_token = false;
    if (redis_on() && schema_is_remembered(a->m))
        answer_mark_unchecked(a);
    return decide_alone(a);
}

enum decision
decision_of(struct answer *a)
{
    a->by = "gateway";
    if (schema_is_remembered(a->m))
        return decide_start(a);
    if (a->kind != EVENT_none && dialect_asks_platform(a->m)) {
        if (asking_possible(a))
            return DECISION_ASK;
        a->by = "fallback";
    }
    answer_alone(a);
    return a->kind == EVENT_none ||
            (a->kind == EVENT_heartbeat && !self.conf.ocpp_heartbeat_events)
        ? DECISION_NOW
        : DECISION_COMMITTED;
}
