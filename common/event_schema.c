/* event_schema: the JSON Schema of events and outcomes, from the tables. See
 * event.h. */
#include <stdio.h>
#include <string.h>

#include "close.h"
#include "event.h"
#include "stats.h"
#include "version.h"
#include "writer.h"

struct member {
    const char *of, *name, *type, *sentence;
    bool        needed;
};

#define NEEDED_YES true
#define NEEDED_NO false

static const struct member members[] = {
#define MEMBER(of, name, type, needed, sentence)                               \
    {#of, #name, #type, sentence, NEEDED_##needed},
#include "event_members.def"
#undef MEMBER
};

#define MEMBERS (sizeof members / sizeof *members)

static const struct {
    const char *name, *schema;
} types[] = {
    {"ANY", ""},
    {"TEXT", "\"type\":\"string\""},
    {"TEXTS", "\"type\":\"array\",\"items\":{\"type\":\"string\"}"},
    {"COUNT", "\"type\":\"integer\",\"minimum\":0"},
    {"NUMBER", "\"type\":\"number\""},
    {"PLAIN", "\"type\":[\"number\",\"string\"]"},
    {"BOOL", "\"type\":\"boolean\""},
    {"TIME",
        "\"type\":\"string\",\"format\":\"date-time\",\"pattern\":"
        "\"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
        "[.][0-9]{3}Z$\""},
    {"EVENT_ID", "\"type\":\"string\",\"pattern\":\"^[0-9a-f]{16}-.+$\""},
    {"EVENT_TYPE", "\"$ref\":\"#/$defs/eventType\""},
    {"PROTOCOL", "\"$ref\":\"#/$defs/protocol\""},
    {"REASON", "\"$ref\":\"#/$defs/closeReason\""},
    {"OUTCOME", "\"$ref\":\"#/$defs/outcomeWord\""},
    {"DEVIATIONS",
        "\"type\":\"array\",\"minItems\":1,\"uniqueItems\":true,"
        "\"items\":{\"$ref\":\"#/$defs/deviation\"}"},
    {"AUTHOR", "\"enum\":[\"gateway\",\"platform\",\"fallback\"]"},
    {"ORIGIN", "\"enum\":[\"control\",\"redis\"]"},
    {"TLS", "\"$ref\":\"#/$defs/tls\""},
    {"REPLACED", "\"$ref\":\"#/$defs/replaced\""},
    {"ERROR", "\"$ref\":\"#/$defs/error\""},
    {"TX", "\"$ref\":\"#/$defs/tx\""},
};

static void
put_type(struct writer *w, const struct member *m)
{
    struct buf  text = BUF_INIT(4096), quoted = BUF_INIT(4096);
    const char *schema = "";

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, m->type) == 0)
            schema = types[i].schema;
    writer_quote(&quoted, m->sentence, strlen(m->sentence));
    buf_addf(&text, "{\"description\":%s%s%s}", buf_cstr(&quoted),
        schema[0] != '\0' ? "," : "", schema);
    writer_raw(w, m->name, text.p, text.len);
    buf_free(&text);
    buf_free(&quoted);
}

/* Later versions may add members, so additional members are allowed. */
static void
put_object(struct writer *w, const char *key, const char *of)
{
    writer_open(w, key, '{');
    writer_str(w, "type", "object");
    writer_open(w, "properties", '{');
    for (size_t i = 0; i < MEMBERS; i++)
        if (strcmp(members[i].of, of) == 0)
            put_type(w, &members[i]);
    writer_close(w);
    writer_open(w, "required", '[');
    for (size_t i = 0; i < MEMBERS; i++)
        if (strcmp(members[i].of, of) == 0 && members[i].needed)
            writer_str(w, NULL, members[i].name);
    writer_close(w);
    writer_close(w);
}

static bool
has_members(const char *of)
{
    for (size_t i = 0; i < MEMBERS; i++)
        if (strcmp(members[i].of, of) == 0)
            return true;
    return false;
}

static void
open_enum(struct writer *w, const char *key)
{
    writer_open(w, key, '{');
    writer_open(w, "enum", '[');
}

static void
close_enum(struct writer *w)
{
    writer_close(w);
    writer_close(w);
}

static void
put_words(struct writer *w)
{
    open_enum(w, "eventType");
    for (unsigned i = 0; i < EVENTS; i++)
        writer_str(w, NULL, event_info[i].type);
    close_enum(w);
    open_enum(w, "protocol");
#define DIALECT(word, name, ...) writer_str(w, NULL, name);
#include "ocpp_dialects.def"
#undef DIALECT
    close_enum(w);
    open_enum(w, "closeReason");
    for (unsigned i = 0; i < CLOSE_REASONS; i++)
        writer_str(w, NULL, close_info[i].word);
    close_enum(w);
    open_enum(w, "outcomeWord");
#define OUTCOME(word, exit_code, sentence) writer_str(w, NULL, #word);
#include "outcome.def"
#undef OUTCOME
    close_enum(w);
    open_enum(w, "deviation");
    for (unsigned i = 0; i < DEVIATIONS; i++)
        writer_str(w, NULL, deviation_names[i]);
    close_enum(w);
}

/* The actions that an event of a CALL is made from. */
static void
put_actions(struct writer *w, enum event_kind kind)
{
    const char *name = event_action(kind, 0);

    if (name == NULL)
        return;
    open_enum(w, "action");
    for (unsigned i = 0; name != NULL; name = event_action(kind, ++i))
        writer_str(w, NULL, name);
    close_enum(w);
}

/* Writes an "if/then" rule: an event of this type must have these members. */
static void
put_event(struct writer *w, enum event_kind kind)
{
    const char *type = event_info[kind].type;
    bool        own = has_members(event_info[kind].word);
    bool        sent = kind == EVENT_command || kind == EVENT_command_sent;
    bool        transaction =
        strncmp(type, "transaction.", strlen("transaction.")) == 0;

    writer_open(w, NULL, '{');
    writer_open(w, "if", '{');
    writer_open(w, "properties", '{');
    writer_open(w, "eventType", '{');
    writer_str(w, "const", type);
    writer_close(w);
    writer_close(w);
    writer_close(w);
    writer_open(w, "then", '{');
    writer_str(w, "description", event_info[kind].sentence);
    writer_open(w, "properties", '{');
    if (own) {
        char ref[80];
        snprintf(ref, sizeof ref, "{\"$ref\":\"#/$defs/%s\"}",
            kind == EVENT_command ? "outcome" : event_info[kind].word);
        writer_raw(w, "payload", ref, strlen(ref));
    } else {
        put_actions(w, kind);
    }
    writer_close(w);
    if (!own || sent) {
        writer_open(w, "required", '[');
        writer_str(w, NULL, "messageId");
        writer_str(w, NULL, "action");
        if (kind == EVENT_asked)
            writer_str(w, NULL, "replyToken");
        if (transaction)
            writer_str(w, NULL, "tx");
        writer_close(w);
    }
    writer_close(w);
    writer_close(w);
}

void
event_put_schema(struct buf *out)
{
    static const char *const parts[] = {"tls", "replaced", "error", "tx"};
    struct writer            w = WRITER_INIT(out);

    writer_open(&w, NULL, '{');
    writer_str(&w, "$schema", "https://json-schema.org/draft/2020-12/schema");
    writer_str(&w, "title", "Events of ocppd " OCPPD_VERSION);
    writer_str(&w, "description",
        "One line of `ocppctl events`, or one event of GET /v1/events. "
        "#/$defs/outcome is the answer to a command. Later versions may add "
        "members and types.");
    writer_open(&w, "allOf", '[');
    writer_raw(&w, NULL, "{\"$ref\":\"#/$defs/event\"}", 24);
    for (unsigned i = 0; i < EVENTS; i++)
        put_event(&w, (enum event_kind)i);
    writer_close(&w);
    writer_open(&w, "$defs", '{');
    put_object(&w, "event", "event");
    for (unsigned i = 0; i < EVENTS; i++)
        if (has_members(event_info[i].word))
            put_object(&w, i == EVENT_command ? "outcome" : event_info[i].word,
                event_info[i].word);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        put_object(&w, parts[i], parts[i]);
    put_words(&w);
    writer_close(&w);
    writer_close(&w);
    buf_addc(out, '\n');
}
