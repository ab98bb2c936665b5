/* remote_starts: finds the command that asked for a transaction. See
 * remote_starts.h. */
#include "session/remote_starts.h"

#include <string.h>

#include "base/self.h"
#include "clock.h"
#include "ocpp/dialect.h"
#include "ocpp/tape.h"
#include "ocpp/transaction.h"

static struct registry_remote
remote_of(struct transaction_remote r, uint64_t sent_ms, const char *command_id,
    size_t len)
{
    struct registry_remote is = {.key = r.key,
        .sent_ms = sent_ms,
        .connector = r.connector,
        .len = (uint32_t)len};

    memcpy(is.command, command_id, len);
    return is;
}

void
remote_starts_sent(struct publish *p, uint32_t entry, const char *action,
    const char *payload, const char *command_id)
{
    size_t len = strlen(command_id);

    if (!transaction_is_remote(action) || len > REGISTRY_COMMAND_MAX)
        return;
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    if (json_scan(tape, payload, strlen(payload))) {
        struct registry_remote is =
            remote_of(transaction_remote_of_command(tape, 0), self.wall_ms,
                command_id, len);
        if (is.key != 0) {
            transaction_put_remote(&p->w, tape, 0);
            registry_remote_put(self.registry, entry, &is);
        }
    }
    tape_return(tape);
}

void
remote_starts_refused(
    uint32_t entry, const char *action, const char *command_id)
{
    if (transaction_is_remote(action))
        registry_remote_drop(
            self.registry, entry, command_id, strlen(command_id));
}

const char *
remote_starts_command(const struct answer *a)
{
    static struct registry_remote found;
    static char                   text[REGISTRY_COMMAND_MAX + 1];

    if (!registry_remotes_any(self.registry, a->entry))
        return NULL;
    struct transaction_remote r =
        transaction_remote_of_message(a->kind, a->tape, a->f->payload_tok);
    uint64_t limit = self.conf.ocpp_remote_start_time;
    uint64_t since =
        r.by_token && self.wall_ms > limit ? self.wall_ms - limit : 0;
    uint64_t tx = transaction_id_hash(a->kind, a->tape, a->f->payload_tok,
        answer_payload.p, answer_payload.len);
    if (tx == 0 ||
        (!registry_remote_find(self.registry, a->entry, tx, &found) &&
            (r.key == 0 ||
                !registry_remote_begin(self.registry, a->entry, r.key,
                    r.connector, since, tx, &found))))
        return NULL;
    memcpy(text, found.command, found.len);
    text[found.len] = '\0';
    return text;
}

/* --- recovery ------------------------------------------------------------ */

static uint32_t
member(const struct json *j, uint32_t object, const char *name)
{
    return json_member(j, object, name, strlen(name));
}

static uint32_t
entry_of(const struct json *line)
{
    char     name[IDENTITY_MAX];
    bool     full = false;
    uint32_t i = member(line, 0, "chargePointId");
    size_t   n = i ? json_string(line, i, name, sizeof name, &full) : 0;

    return full ? registry_find(self.registry, name, n, true) : REGISTRY_NONE;
}

static uint64_t
time_of(const struct json *line)
{
    char     when[CLOCK_RFC3339_LEN + 1];
    uint64_t ms = 0;
    uint32_t i = member(line, 0, "timestamp");
    size_t   n = i ? json_string(line, i, when, sizeof when, NULL) : 0;

    return clock_parse_rfc3339(when, n, &ms) ? ms : 0;
}

static void
put(const struct json *line, uint32_t command_id, struct registry_remote *is)
{
    bool     full = false;
    uint32_t entry = entry_of(line);

    is->len = (uint32_t)json_string(
        line, command_id, is->command, sizeof is->command, &full);
    if (!full || entry == REGISTRY_NONE || !registry_lock(self.registry))
        return;
    registry_remote_put(self.registry, entry, is);
    registry_unlock(self.registry);
}

static void
recover_command(const struct json *line)
{
    uint32_t               payload = member(line, 0, "payload");
    uint32_t               id = member(line, payload, "commandId");
    struct registry_remote is = {.sent_ms = time_of(line)};

    struct transaction_remote r = transaction_remote_of_command(line, payload);
    is.key = r.key;
    is.connector = r.connector;
    if (id != 0 && is.key != 0)
        put(line, id, &is);
}

static void
recover_outcome(const struct json *line)
{
    char     id[REGISTRY_COMMAND_MAX];
    bool     full = false;
    uint32_t payload = member(line, 0, "payload");
    uint32_t command_id = member(line, payload, "commandId");
    uint32_t answer = member(line, payload, "payload");
    uint32_t entry = entry_of(line);

    if (command_id == 0 || answer == 0 || dialect_accepted(line, answer) ||
        entry == REGISTRY_NONE)
        return;
    size_t n = json_string(line, command_id, id, sizeof id, &full);
    if (!full || !registry_lock(self.registry))
        return;
    registry_remote_drop(self.registry, entry, id, n);
    registry_unlock(self.registry);
}

static void
recover_transaction(const struct json *line)
{
    uint32_t               tx = member(line, 0, "tx");
    uint32_t               id = tx ? member(line, tx, "commandId") : 0;
    struct registry_remote is = {.key = 0};

    if (id == 0)
        return;
    is.transaction = transaction_hash(line, member(line, tx, "id"));
    if (is.transaction != 0)
        put(line, id, &is);
}

void
remote_starts_recover(const char *line, size_t len)
{
    static const char command_id[] = "\"commandId\"";

    if (memmem(line, len, command_id, sizeof command_id - 1) == NULL)
        return;
    struct json *tape = tape_borrow(TAPE_EVENT);
    uint32_t     type =
        json_scan(tape, line, len) ? member(tape, 0, "eventType") : 0;
    if (type != 0 && json_equals(tape, type, "command.sent", 12))
        recover_command(tape);
    else if (type != 0 && json_equals(tape, type, "command.response", 16))
        recover_outcome(tape);
    else if (type != 0)
        recover_transaction(tape);
    tape_return(tape);
}
