/*
 * cmd_call: the commands that need a connected charge point: call, disconnect,
 * tap. See command.h; pending_calls.h describes what happens to a call when a
 * worker dies.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/master.h"
#include "channel.h"
#include "control/command.h"
#include "control/last_outcomes.h"
#include "control/pending_calls.h"
#include "control/taps.h"
#include "ensure.h"
#include "json_members.h"
#include "knob.h"
#include "log.h"
#include "workers/slot.h"
#include "writer.h"

#define COMMAND_ID_MAX 64
/* Ms that a client waits longer than a command may take. */
#define PATIENCE_MS 60000

/* The entry of an identity, REGISTRY_NONE if it has none; *owner is 0 unless it
 * is connected. */
static uint32_t
look_up(const char *identity, cref *owner)
{
    struct registry *r = shm_registry(master.shm);
    uint32_t         i = registry_peek(r, identity, strlen(identity));

    *owner = i == REGISTRY_NONE
        ? 0
        : atomic_load_explicit(&registry_at(r, i)->owner, memory_order_acquire);
    return i;
}

/* --- call ---------------------------------------------------------------- */

static void
draw_command_id(char out[COMMAND_ID_MAX + 1])
{
    uint64_t r[2];

    ensure(getrandom(r, sizeof r, 0) == sizeof r);
    snprintf(out, COMMAND_ID_MAX + 1, "%016" PRIx64 "%016" PRIx64, r[0], r[1]);
}

static bool
printable(const char *s, size_t max)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f)
            return false;
    return n > 0 && n <= max;
}

static bool
refuse_call(struct client *c, enum pending_result r)
{
    switch (r) {
    case PENDING_OK:
        return true;
    case PENDING_BUSY:
        control_replyf(c, CONTROL_BUSY,
            "call: the worker that holds the "
            "charge point is busy; nothing was sent, try again");
        break;
    case PENDING_NO_MEMORY:
        control_replyf(c, CONTROL_BUSY,
            "call: the master has no memory for the command; nothing was "
            "sent, try again");
        break;
    case PENDING_FULL:
        control_replyf(c, CONTROL_BUSY,
            "call: %u commands are pending; "
            "nothing was sent, try again",
            pending_calls_count());
        break;
    case PENDING_DUPLICATE:
        control_replyf(c, CONTROL_CONFLICT,
            "call: a command of this id is "
            "pending; nothing was sent");
        break;
    case PENDING_NOBODY:
        control_replyf(c, CONTROL_BUSY,
            "call: every worker is down; nothing "
            "was sent (`workers` shows why)");
        break;
    }
    return false;
}

struct call {
    const char *identity, *action, *payload;
    char        id[COMMAND_ID_MAX + 1];
    uint64_t    timeout_ms; /* 0: ocpp.message_timeout */
    bool        chosen;     /* the id was chosen by the client */
    bool        wait;
    bool        unchecked; /* the payload is not checked against its schema */
};

/* Removes an option without a value from the words; true if it was there. */
static bool
take_flag(int *argc, char **argv, const char *name)
{
    for (int i = 1; i < *argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], name) == 0) {
            memmove(
                &argv[i], &argv[i + 1], (size_t)(*argc - i - 1) * sizeof *argv);
            (*argc)--;
            return true;
        }
    return false;
}

static bool
parse_call(struct client *c, int argc, char **argv, struct call *call)
{
    static const char *const names[] = {"--timeout", "--id", "--wait"};
    const char              *v[3] = {NULL};
    bool                     unchecked = take_flag(&argc, argv, "--unchecked");

    if (!command_options(c, &argc, argv, names, v, 3))
        return false;
    if (argc < 3 || argc > 4) {
        command_usage(c, argv,
            argc < 3 ? "give an identity and an action"
                     : "too many words; put the JSON in "
                       "quotes");
        return false;
    }
    *call = (struct call){.identity = argv[1],
        .action = argv[2],
        .payload = argc > 3 ? argv[3] : "{}",
        .chosen = v[1] != NULL,
        .wait = v[2] == NULL || strcmp(v[2], "yes") == 0,
        .unchecked = unchecked};
    if (!call->wait && strcmp(v[2], "no") != 0) {
        command_bad_word(c, argv, v[2]);
        return false;
    }
    if (!command_identity(c, argv, call->identity))
        return false;
    if (!printable(call->action, 64)) {
        command_usage(c, argv, "%.64s: this cannot be the name of an action",
            call->action);
        return false;
    }
    if (v[0] != NULL) {
        struct config t;
        struct buf    why = BUF_INIT(1024);
        bool ok = knob_parse(CONF_KNOB_ocpp_message_timeout, v[0], &t, &why);
        if (!ok)
            command_usage(
                c, argv, "--timeout = %.64s: %s", v[0], buf_cstr(&why));
        buf_free(&why);
        if (!ok)
            return false;
        call->timeout_ms = t.ocpp_message_timeout;
    }
    if (v[1] != NULL && !printable(v[1], COMMAND_ID_MAX)) {
        command_usage(
            c, argv, "--id: give 1 to %d bytes without blanks", COMMAND_ID_MAX);
        return false;
    }
    if (v[1] != NULL)
        memcpy(call->id, v[1], strlen(v[1]) + 1);
    else
        draw_command_id(call->id);
    return true;
}

/* Replies if the worker died after it had written the event of the outcome and
 * before it had reported it, and its successor has found the event but not kept
 * its contents. */
static void
reply_unheard(struct client *c, enum outcome outcome, const char *command_id)
{
    struct buf    out = BUF_INIT(4096);
    struct writer w = WRITER_INIT(&out);

    if (c->format != 'j') {
        control_replyf(c, CONTROL_NEGATIVE,
            "%s: the worker died after the command had ended; the event "
            "command.response of command %s has the whole outcome",
            outcome_info[outcome].word, command_id);
        return;
    }
    writer_open(&w, NULL, '{');
    writer_str(&w, "commandId", command_id);
    writer_str(&w, "outcome", outcome_info[outcome].word);
    writer_bool(&w, "inJournal", true);
    writer_close(&w);
    buf_addc(&out, '\n');
    control_reply_buf(c, CONTROL_NEGATIVE, &out);
    buf_free(&out);
}

static void
put_ending(struct buf *out, enum outcome outcome, const char *command_id,
    const char *json, size_t len)
{
    struct json_member m;

    /* A result is printed alone, so that a program can read it. */
    if (outcome != OUTCOME_result)
        buf_addf(out, "%s: %s (command %s)\n", outcome_info[outcome].word,
            outcome_info[outcome].sentence, command_id);
    if (json_members_find(json, len, "payload", &m))
        buf_add(out, m.value, m.value_len);
    else if (json_members_find(json, len, "error", &m))
        json_members_put_lines(out, m.value, m.value_len, 12);
}

static void
call_done(uint64_t id, enum outcome outcome, const char *command_id,
    const char *json, size_t len)
{
    struct client     *c = control_client(id);
    struct buf         out = BUF_INIT(CONTROL_REPLY_MAX);
    struct json_member m;

    if (c == NULL)
        return;
    while (len > 0 && (json[len - 1] == '\0' || json[len - 1] == '\n'))
        len--;
    if (!json_members_find(json, len, "outcome", &m)) {
        reply_unheard(c, outcome, command_id);
        return;
    }
    if (c->format == 'j')
        buf_add(&out, json, len);
    else
        put_ending(&out, outcome, command_id, json, len);
    if (out.len > 0 && out.p[out.len - 1] != '\n')
        buf_addc(&out, '\n');
    control_reply_buf(c,
        outcome_info[outcome].exit_code == 0 ? CONTROL_DONE : CONTROL_NEGATIVE,
        &out);
    buf_free(&out);
}

/* True after the start of the daemon until the workers have reported the
 * outcomes in the journals. */
static bool
journals_unread(void)
{
    for (unsigned i = 0; i < master.slots; i++)
        if (master.phase == MASTER_STARTING &&
            slot_state(i) != SHM_WORKER_READY &&
            slot_state(i) != SHM_WORKER_FAILED)
            return true;
    return false;
}

/* Replies that the command was sent to its worker, or will be. */
static void
reply_taken(struct client *c, const char *command_id)
{
    struct buf    out = BUF_INIT(4096);
    struct writer w = WRITER_INIT(&out);

    if (c->format != 'j') {
        control_replyf(c, CONTROL_TAKEN,
            "command %s has no outcome yet; `outcome %s` returns it later",
            command_id, command_id);
        return;
    }
    writer_open(&w, NULL, '{');
    writer_str(&w, "commandId", command_id);
    writer_bool(&w, "pending", true);
    writer_close(&w);
    buf_addc(&out, '\n');
    control_reply_buf(c, CONTROL_TAKEN, &out);
    buf_free(&out);
}

void
cmd_outcome(struct client *c, int argc, char **argv)
{
    enum outcome outcome;
    size_t       len;

    if (argc != 2) {
        command_usage(c, argv, "give the id of one command");
        return;
    }
    const char *json = last_outcomes_find(argv[1], &outcome, &len);
    if (pending_calls_has(argv[1]))
        reply_taken(c, argv[1]);
    else if (json != NULL)
        call_done(c->id, outcome, argv[1], json, len);
    else
        control_replyf(c, CONTROL_NOT_FOUND,
            "outcome: %.64s: the daemon remembers no command of this id; the "
            "journal has its command.response",
            argv[1]);
}

static void
call_failed(uint64_t id, const char *why)
{
    struct client *c = control_client(id);

    if (c != NULL)
        control_replyf(c, CONTROL_FAILED, "%s", why);
}

struct pending_calls_waiter
call_waiter(uint64_t client)
{
    return (struct pending_calls_waiter){client, call_done, call_failed};
}

void
cmd_call(struct client *c, int argc, char **argv)
{
    struct buf  body = BUF_INIT(CHANNEL_BODY_MAX);
    struct call call;
    cref        owner;

    struct pending_calls_waiter waiter = call_waiter(c->id);

    if (!parse_call(c, argc, argv, &call) ||
        (call.wait && !control_may_wait(c)))
        return;
    /* A generated id never equals that of an earlier command. */
    if (call.chosen && journals_unread()) {
        control_replyf(c, CONTROL_BUSY,
            "call: the workers still read the outcomes of earlier commands; "
            "nothing was sent, try again");
        return;
    }
    enum outcome ended;
    size_t       n;
    if (last_outcomes_find(call.id, &ended, &n) != NULL) {
        control_replyf(c, CONTROL_CONFLICT,
            "call: a command of this id has ended; nothing was sent; `outcome "
            "%s` prints its outcome",
            call.id);
        return;
    }
    if (!call.wait)
        waiter.client = 0;
    buf_add(&body, call.id, strlen(call.id) + 1);
    buf_add(&body, call.identity, strlen(call.identity) + 1);
    buf_add(&body, call.action, strlen(call.action) + 1);
    buf_add(&body, call.payload, strlen(call.payload) + 1);
    buf_adds(&body, call.unchecked ? "unchecked" : "");
    buf_addc(&body, '\0');
    if (body.overflow) {
        control_replyf(c, CONTROL_USAGE,
            "call: the JSON is larger than the "
            "%u bytes a command may have",
            CHANNEL_BODY_MAX - 256);
        buf_free(&body);
        return;
    }
    look_up(call.identity, &owner);
    enum pending_result r;
    if (owner != 0 && slot_state(cref_slot(owner)) == SHM_WORKER_READY)
        r = pending_calls_call(
            &waiter, owner, call.timeout_ms, body.p, body.len);
    else
        r = pending_calls_settle(&waiter,
            (unsigned)(hash_sum(call.identity, strlen(call.identity), 0) %
                master.slots),
            OUTCOME_offline, body.p, body.len);
    buf_free(&body);
    if (!refuse_call(c, r))
        return;
    if (!call.wait) {
        reply_taken(c, call.id);
        return;
    }
    c->waits = "call";
    uint64_t most =
        call.timeout_ms ? call.timeout_ms : master.config.ocpp_message_timeout;
    control_wait(c, NULL, 2 * most + PATIENCE_MS,
        "call: there is no outcome yet; the event command.response will hold "
        "it");
}

/* --- disconnect ---------------------------------------------------------- */

static void
disconnect_poll(struct client *c)
{
    struct registry *r = shm_registry(master.shm);

    if (!registry_owns(r, c->entry, c->conn))
        control_replyf(c, CONTROL_DONE, "disconnected");
}

void
cmd_disconnect(struct client *c, int argc, char **argv)
{
    cref owner;

    if (argc != 2) {
        command_usage(c, argv, "give one identity");
        return;
    }
    c->entry = look_up(argv[1], &owner);
    c->conn = owner;
    if (owner == 0) {
        control_replyf(c, CONTROL_NOT_FOUND, "%.64s: not connected", argv[1]);
        return;
    }
    if (!control_may_wait(c))
        return;
    struct channel_msg m = {.type = CHANNEL_disconnect, .conn = owner};
    if (!slot_send(cref_slot(owner), &m, NULL, 0)) {
        control_replyf(c, CONTROL_BUSY,
            "disconnect: worker %u, which holds "
            "the connection, is busy or down; try again",
            cref_slot(owner));
        return;
    }
    log_info("an operator disconnects %s (uid %d)", argv[1], (int)c->uid);
    control_wait(c, disconnect_poll,
        master.config.websocket_close_timeout + 5000,
        "disconnect: the close was requested, but the connection is still "
        "open; see `show`");
}

/* --- tap ----------------------------------------------------------------- */

void
cmd_tap(struct client *c, int argc, char **argv)
{
    if (argc != 2 || strlen(argv[1]) > 100) {
        command_usage(c, argv,
            "give one identity or pattern, at most 100 "
            "bytes; '*' means all");
        return;
    }
    if (!control_may_wait(c))
        return;
    if (!taps_start(c, argv[1])) {
        control_replyf(c, CONTROL_BUSY,
            "tap: %d taps run already; end one of them first", TAPS_MAX);
        return;
    }
    control_stream_begin(c);
}
