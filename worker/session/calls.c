/* calls: commands, CALLs from the platform to a charge point. See calls.h. */
#include "session/calls_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/auth.h"
#include "array.h"
#include "base/master_link.h"
#include "base/self.h"
#include "ensure.h"
#include "fleet/call_queue.h"
#include "journal/journal.h"
#include "log.h"
#include "ocpp/dialect.h"
#include "ocpp/tape.h"
#include "session/outcomes.h"
#include "session/publish.h"
#include "session/remote_starts.h"
#include "session/session.h"
#include "session/tap.h"

#define OWN_ID_MAX 64 /* bytes of a generated commandId: 16 digits, -, node */

/* Connections whose first call waits until its command.sent event is durable,
 * in order of the events. If there is no memory for the list, the sweep finds
 * these connections. */
static struct announced {
    cref     conn;
    uint64_t number;
} * announced;
static size_t announced_n, announced_cap;

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
    /* An empty payload and null both mean {} (OCPP-J 1.6 section 4.2.1). */
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
    /* The number makes the id unique across restarts, and the node across
     * gateways. */
    snprintf(
        k->id, sizeof k->id, "%016" PRIx64 "-%.19s", number, self.shm->node);
    STAT_INC(self.st, commands_pending);
    return k;
}

/* Makes the call of a datagram from the master, which holds the commandId, the
 * identity, the action, the payload, and "unchecked" or "". NULL if there is no
 * memory. */
static struct call *
of_datagram(const struct channel_msg *msg, const char *body)
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

/* Finds the message in the schema. Returns an error text, or NULL. */
static const char *
wrong(struct call *k, const struct conn *c, struct json *tape)
{
    static struct schema_verdict v;

    k->m = schema_find(
        dialects[c->session.protocol].schema, k->action, strlen(k->action));
    if (k->m == NULL && !k->unchecked)
        return "the action does not exist in this OCPP version";
    if (!k->unchecked && !(k->m->direction & SCHEMA_CS))
        return "the action is not sent to charge points";
    if (!json_scan(tape, k->payload, strlen(k->payload)))
        return json_error_text(tape->error);
    if (tape->deviations != 0 || tape->newline)
        return "the payload must be valid JSON on one line";
    if (k->unchecked)
        return NULL;
    /* Messages to charge points are always checked strictly, whatever
     * ocpp.validation is. */
    if (!schema_check(k->m, SCHEMA_REQUEST, tape, 0, OCPPJ_STRICT, &v))
        return v.text;
    return NULL;
}

static void enqueue(struct conn *c, struct call *k);

/* True if the identity has a connection that this worker does not hold: its
 * owner word names another cref, or the connection is moving to another
 * worker. */
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
    struct call *k = of_datagram(msg, body);

    if (k == NULL) {
        log_error(
            "no memory for a command; the client that sent it will time out");
        return;
    }
    if (c == NULL) {
        if (has_moved(k->identity)) {
            master_link_moved(k->request);
            STAT_DEC(self.st, commands_pending);
            free(k);
        } else {
            outcomes_finish_plain(k, OUTCOME_offline, NULL, "");
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

/* The most bytes of the CALL on the wire. */
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
        outcomes_finish_plain(k, OUTCOME_invalid, "Invalid", why);
        return;
    }
    k->protocol = dialects[c->session.protocol].name;
    if (frame_size(k) > self.conf.websocket_max_output_size) {
        outcomes_finish_plain(k, OUTCOME_invalid, "TooLarge",
            "the command is larger than websocket.max_output_size");
        return;
    }
    struct busy *b = conn_busy(c);
    if (b == NULL || b->session.calls_n >= self.conf.ocpp_call_queue) {
        outcomes_finish_plain(k, OUTCOME_invalid, "QueueFull",
            "ocpp.call_queue commands already wait for this charge point");
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

/* True if the call may be sent now. No call is sent to a charge point that has
 * just connected, until its boot is answered or some time has passed. No remote
 * start or stop is sent while its boot is Pending, and no call after it was
 * Rejected (OCPP 1.6 section 4.2). */
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

/* True if a call that will be queued later could be sent now. */
static bool
may_send_any(const struct conn *c)
{
    return c->session.boot != BOOT_WAITS && c->session.boot != BOOT_REJECTED &&
        (c->session.boot != BOOT_NONE ||
            session_age_ms(c) >= self.conf.ocpp_call_hold);
}

/* The event command.sent must be durable before the CALL is sent. So after any
 * crash the journal shows which commands were sent and have no outcome.
 * calls_committed() sends the CALL. */
static void
announce(struct conn *c, struct call *k)
{
    struct publish_subject subject = publish_subject(c);
    struct publish        *p = publish_begin(EVENT_command_sent, &subject);

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
        struct announced *a = array_grow(announced, &announced_cap, sizeof *a);
        if (a == NULL)
            return;
        announced = a;
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
    /* calls_pump() may have added entries at the end. */
    memmove(announced, announced + n, (announced_n - n) * sizeof announced[0]);
    announced_n -= n;
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
            outcomes_finish_plain(k, OUTCOME_timeout, NULL, "");
        else
            outcomes_finish_plain(k, OUTCOME_expired, NULL, "");
    }
    calls_pump(c);
}

void
calls_drop(struct conn *c)
{
    while (c->busy != NULL && c->busy->session.calls != NULL) {
        struct call *k = calls_pop(c);
        outcomes_finish_plain(
            k, k->sent ? OUTCOME_uncertain : OUTCOME_offline, NULL, "");
    }
}

/* --- commands of a worker that has died ----------------------------------- */

/* True if a connection of this worker has the call of that request of the
 * master. */
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
    struct call *k = of_datagram(msg, body);

    if (k == NULL) {
        log_error(
            "no memory for the outcome of a command; the client that sent it "
            "will time out");
        return;
    }
    ensure(msg->arg < OUTCOMES);
    /* A call that this worker took over from the slot's former process may
       still be open here. */
    if (outcomes_repeat(msg->id, k->command_id) || is_held(msg->id)) {
        STAT_DEC(self.st, commands_pending);
        free(k);
        return;
    }
    outcomes_finish_plain(k, (enum outcome)msg->arg, NULL, "");
}
