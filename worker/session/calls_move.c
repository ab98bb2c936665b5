/* calls_move: the calls of a connection that moves. See moving.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "channel.h"
#include "journal/journal.h"
#include "log.h"
#include "ocpp/dialect.h"
#include "registry.h"
#include "session/calls_private.h"
#include "session/outcomes.h"

static void
put_call(const struct call *k, struct buf *out)
{
    fields_put_u64(out, "request", k->request);
    fields_put_str(out, "id", k->id);
    fields_put_str(out, "command", k->command_id);
    fields_put_str(out, "action", k->action);
    fields_put_u64(out, "age", (uint32_t)(self.now_ms - k->taken_ms));
}

void
calls_write(const struct conn *c, struct buf *out)
{
    const struct call *k = c->busy != NULL ? c->busy->session.calls : NULL;

    for (; k != NULL; k = k->next) {
        fields_begin(out, "call");
        put_call(k, out);
        fields_put_str(out, "payload", k->payload);
        fields_put_u64(out, "timeout", k->timeout_ms);
        fields_put_u64(out, "announced", k->announced != 0);
        fields_put_u64(out, "sent", k->sent);
        fields_put_u64(out, "unchecked", k->unchecked);
        fields_put_u64(out, "sent_age", (uint32_t)(self.now_ms - k->sent_ms));
        if (k->queued != NULL)
            call_queue_write(k->queued, out);
        fields_end(out);
    }
}

void
calls_put(struct buf *out)
{
    outcomes_write(out);
    for (const struct call *k = outcomes_parked(); k != NULL; k = k->next) {
        fields_begin(out, "outcome");
        put_call(k, out);
        fields_put_str(out, "identity", k->identity);
        fields_put_str(out, "protocol", k->protocol);
        fields_put_str(out, "outcome", outcome_info[k->outcome].word);
        fields_put_bytes(out, "ended", k->ended.p, k->ended.len);
        fields_end(out);
    }
}

void
calls_forget(struct conn *c)
{
    while (c->busy != NULL && c->busy->session.calls != NULL) {
        STAT_DEC(self.st, commands_pending);
        free(calls_pop(c));
    }
}

bool
calls_announced(const struct conn *c)
{
    const struct call *k = c->busy != NULL ? c->busy->session.calls : NULL;

    return k != NULL && k->announced != 0 && !k->sent;
}

/* Makes the call of a line; NULL if there is no memory or the line is
 * malformed. */
static struct call *
make_of_line(struct fields *f, const char *identity)
{
    const char *id = fields_str(f, "id", OCPPJ_ID_MAX);
    const char *command = fields_str(f, "command", CHANNEL_BODY_MAX);
    const char *action = fields_str(f, "action", 64);

    if (id[0] == '\0' || command[0] == '\0' || action[0] == '\0' ||
        f->bad != NULL)
        return NULL;
    struct call *k = calls_make(&(struct call_request){
        .request = fields_u64(f, "request", 0, UINT64_MAX),
        .timeout_ms = fields_u64(f, "timeout", 0, UINT32_MAX),
        .command_id = command,
        .identity = identity,
        .action = action,
        .payload = fields_str(f, "payload", CHANNEL_BODY_MAX),
        .unchecked = fields_bool(f, "unchecked", false)});
    if (k == NULL)
        return NULL;
    snprintf(k->id, sizeof k->id, "%s", id);
    k->taken_ms = self.now_ms - (uint32_t)fields_u64(f, "age", 0, UINT32_MAX);
    return k;
}

static void
take_outcome(struct fields *f)
{
    const char  *protocol = fields_str(f, "protocol", 32);
    const char  *word = fields_str(f, "outcome", 32);
    struct call *k = make_of_line(f, fields_str(f, "identity", IDENTITY_MAX));
    const struct field *ended = fields_find(f, "ended");

    if (k == NULL)
        return;
    k->outcome = (uint8_t)outcome_by_word(word);
    for (unsigned i = 0; i < DIALECTS; i++)
        if (strcmp(dialects[i].name, protocol) == 0)
            k->protocol = dialects[i].name;
    k->ended.max = JOURNAL_LINE_MAX;
    if (ended != NULL)
        buf_add(&k->ended, ended->value, ended->len);
    outcomes_park(k);
}

static void
take_call(struct conn *c, struct fields *f)
{
    char        identity[IDENTITY_MAX + 1];
    size_t      len;
    const char *name = registry_name(self.registry, c->session.entry, &len);

    snprintf(identity, sizeof identity, "%.*s", (int)len, name);
    struct call *k = make_of_line(f, identity);
    struct busy *b = conn_busy(c);
    if (k == NULL || b == NULL) {
        log_error("%s: a command was lost on its way to this worker", identity);
        free(k);
        return;
    }
    k->protocol = dialects[c->session.protocol].name;
    k->m = schema_find(
        dialects[c->session.protocol].schema, k->action, strlen(k->action));
    k->sent = fields_bool(f, "sent", false);
    k->sent_ms =
        self.now_ms - (uint32_t)fields_u64(f, "sent_age", 0, UINT32_MAX);
    /* Its command.sent event became durable before the move. */
    if (fields_bool(f, "announced", false))
        k->announced = journal_committed() != 0 ? journal_committed() : 1;
    if (fields_find(f, "queue_epoch") != NULL)
        k->queued = call_queue_read(c, f, k->command_id, k->action);
    if (k->m == NULL && !k->unchecked) {
        outcomes_finish_plain(
            k, k->sent ? OUTCOME_uncertain : OUTCOME_invalid, NULL, "");
        return;
    }
    struct call **p = &b->session.calls;
    while (*p != NULL)
        p = &(*p)->next;
    *p = k;
    b->session.calls_n++;
}

bool
calls_read(struct conn *c, struct fields *f)
{
    if (strcmp(f->word, "outcome") == 0)
        take_outcome(f);
    else if (strcmp(f->word, "call") != 0)
        return outcomes_read(f);
    else if (c != NULL && c->state == CONN_OPEN)
        take_call(c, f);
    return true;
}
