/* outcomes: how commands end. See outcomes.h. */
#include "session/outcomes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "base/master_link.h"
#include "base/self.h"
#include "fields.h"
#include "fleet/call_queue.h"
#include "journal_line.h"
#include "session/calls_private.h"
#include "session/deferred.h"
#include "session/publish.h"
#include "session/recovered.h"
#include "session/violation.h"

#define LINE_REST 2048 /* bytes of a command.response without its payload */
#define CUT "the answer is too long for an event"
#define ENDED_KEPT_MS 60000 /* ms for which a master may ask for an outcome */
#define ENDED_MAX 16384
#define TOO_LONG "\"cut\":\"" CUT "\""

/* Outcomes that the journal has not accepted, oldest first. */
static struct call  *parked;
static struct call **parked_last = &parked;

/* Requests of the master that have ended, oldest first. The present master may
 * still consider one of them pending: the datagram with its outcome is on its
 * way, or was sent to a master that has died. */
static struct ended {
    uint64_t request;
    uint32_t at_ms;
    uint8_t  outcome;
    char    *command_id; /* NULL without memory */
} * ended;
static size_t ended_n, ended_cap;

static void
forget(size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(ended[i].command_id);
    memmove(ended, ended + n, (ended_n -= n) * sizeof *ended);
}

static void
remember(uint64_t request, const char *command_id, enum outcome outcome,
    uint32_t at_ms)
{
    if (ended_n == ended_cap && ended_cap < ENDED_MAX) {
        struct ended *p = array_grow(ended, &ended_cap, sizeof *p);
        if (p == NULL)
            return;
        ended = p;
    }
    if (ended_n == ended_cap)
        forget(1);
    ended[ended_n++] =
        (struct ended){request, at_ms, (uint8_t)outcome, strdup(command_id)};
}

static const struct ended *
find_ended(uint64_t request)
{
    for (size_t i = 0; i < ended_n; i++)
        if (ended[i].request == request)
            return &ended[i];
    return NULL;
}

static struct publish_subject
subject_of(const struct call *k)
{
    struct publish_subject subject = {.identity = k->identity,
        .identity_len = strlen(k->identity),
        .protocol = k->protocol};
    uint32_t               entry = registry_find(
                      self.registry, subject.identity, subject.identity_len, false);

    if (entry != REGISTRY_NONE) {
        subject.generation = registry_at(self.registry, entry)->generation;
        subject.entry1 = entry + 1;
    }
    return subject;
}

/* Writes the outcome for the client of the control socket, without members that
 * are too long for a datagram. */
static void
send_outcome(struct call *k, uint64_t number)
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
    writer_str(&w, "cut",
        "the answer is too long to be shown here; the event command.response "
        "has all of it");
    writer_u64(&w, "durationMs", self.now_ms - k->taken_ms);
    writer_close(&w);
    deferred_done(number, k->request, k->outcome, cut.p, cut.len);
    buf_free(&cut);
}

static bool
publish_outcome(struct call *k)
{
    struct publish_subject subject = subject_of(k);
    struct publish        *p = publish_begin(EVENT_command, &subject);
    writer_str(&p->w, "messageId", k->id);
    writer_str(&p->w, "action", k->action);
    writer_raw(&p->w, "payload", k->ended.p, k->ended.len);
    uint64_t number = publish_end(p);
    if (number == 0)
        return false;
    STAT_INC(self.st, commands[k->outcome]);
    STAT_DEC(self.st, commands_pending);
    if (k->request != 0)
        send_outcome(k, number);
    buf_free(&k->ended);
    free(k);
    return true;
}

void
outcomes_park(struct call *k)
{
    k->next = NULL;
    *parked_last = k;
    parked_last = &k->next;
}

struct call *
outcomes_parked(void)
{
    return parked;
}

/* Ends a command that is not in a queue any more. payload is that of the
 * CALLRESULT; code, description and details are those of the CALLERROR, or are
 * made by the gateway. All except code are JSON; NULL means none. */
void
outcomes_finish(struct call *k, enum outcome outcome, struct ocppj_span payload,
    struct ocppj_span code, struct ocppj_span description,
    struct ocppj_span details)
{
    struct writer w = WRITER_INIT(&k->ended);

    if (k->request != 0)
        remember(k->request, k->command_id, outcome, self.now_ms);
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
        /* The event of a command from Redis is made in Redis, together with its
           outcome. */
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
        /* No event can hold the whole answer, so only the outcome is published,
           with a note that the rest was cut. */
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
        outcomes_park(k);
}

void
outcomes_finish_plain(
    struct call *k, enum outcome outcome, const char *code, const char *why)
{
    static struct buf quoted = {.max = 1024};
    struct ocppj_span none = {NULL, 0};
    struct ocppj_span c = {code, code ? strlen(code) : 0};

    buf_clear(&quoted);
    writer_quote(&quoted, why, strlen(why));
    outcomes_finish(
        k, outcome, none, c, (struct ocppj_span){quoted.p, quoted.len}, none);
}

bool
outcomes_retry(void)
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

/* --- commands of dead workers, without connection ---------------------------- */

void
outcomes_tick(void)
{
    size_t old = 0;

    while (old < ended_n && self.now_ms - ended[old].at_ms >= ENDED_KEPT_MS)
        old++;
    if (old > 0)
        forget(old);
    outcomes_retry();
    recovered_report();
}

/* Sends the outcome of a request to the master when its event is durable. */
static bool
is_on_its_way(uint64_t request)
{
    for (const struct call *k = parked; k != NULL; k = k->next)
        if (k->request == request)
            return true;
    return deferred_awaits(request);
}

bool
outcomes_repeat(uint64_t request, const char *command_id)
{
    const struct ended *e = find_ended(request);
    enum outcome        outcome;

    if (e != NULL) {
        if (!is_on_its_way(request))
            master_link_done(request, e->outcome, "{}", 2);
        return true;
    }
    if (!recovered_find(command_id, &outcome))
        return false;
    master_link_done(request, outcome, "{}", 2);
    return true;
}

/* --- to another process -------------------------------------------------- */

void
outcomes_write(struct buf *out)
{
    for (size_t i = 0; i < ended_n; i++) {
        fields_begin(out, "ended");
        fields_put_u64(out, "request", ended[i].request);
        if (ended[i].command_id != NULL)
            fields_put_str(out, "command", ended[i].command_id);
        fields_put_str(out, "outcome", outcome_info[ended[i].outcome].word);
        fields_put_u64(out, "age", (uint32_t)(self.now_ms - ended[i].at_ms));
        fields_end(out);
    }
}

/* Reports an outcome to the master. After an upgrade, the new master does not
 * know the outcomes of commands that ended under the old program. */
static void
report(const char *command_id, enum outcome outcome)
{
    struct buf    body = BUF_INIT(4096);
    struct writer w = WRITER_INIT(&body);

    buf_add(&body, command_id, strlen(command_id) + 1);
    writer_open(&w, NULL, '{');
    writer_str(&w, "commandId", command_id);
    writer_str(&w, "outcome", outcome_info[outcome].word);
    writer_bool(&w, "inJournal", true);
    writer_close(&w);
    if (!body.overflow)
        master_link_recovered(outcome, body.p, body.len);
    buf_free(&body);
}

bool
outcomes_read(struct fields *f)
{
    if (strcmp(f->word, "ended") != 0)
        return false;
    uint64_t     request = fields_u64(f, "request", 0, UINT64_MAX);
    const char  *id = fields_str(f, "command", CHANNEL_BODY_MAX);
    enum outcome outcome = outcome_by_word(fields_str(f, "outcome", 32));
    if (request == 0)
        return true;
    remember(request, id, outcome,
        self.now_ms - (uint32_t)fields_u64(f, "age", 0, UINT32_MAX));
    if (id[0] != '\0')
        report(id, outcome);
    return true;
}
