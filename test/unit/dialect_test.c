/* The values that are read from messages of each OCPP version: tokens, whether
 * a charge point has accepted a command, new keys, and which messages a command
 * requests. */
#include <string.h>

#include "ocpp/dialect.h"
#include "ocpp/json.h"
#include "ocpp/schema.h"
#include "unit.h"

static struct json_token tokens[2000];
static struct json       tape = JSON_INIT(tokens, 2000);

/* The payload is element 1 of an array, as it is inside a frame. */
static uint32_t
scan(const char *payload)
{
    static char text[1024];
    int         n = snprintf(text, sizeof text, "[%s]", payload);

    UNIT_CASE(payload);
    CHECK(json_scan(&tape, text, (size_t)n));
    return 1;
}

/* Checks the JSON text of value i. NULL: there is no value. */
static void
is(uint32_t i, const char *want)
{
    size_t len = 0;

    CHECK_EQ(i != 0, want != NULL);
    if (i == 0 || want == NULL)
        return;
    const char *have = json_raw(&tape, i, &len);
    CHECK_STRN(have, len, want);
}

static void
id_tokens(void)
{
    static const struct {
        const char *payload, *token;
    } rows[] = {
        {"{\"idTag\":\"A\"}", "\"A\""},
        {"{\"idToken\":{\"idToken\":\"B\",\"type\":\"Central\"}}", "\"B\""},
        {"{\"idTag\":\"A\",\"idToken\":{\"idToken\":\"B\"}}", "\"A\""},
        {"{\"idTag\":7}", NULL},
        {"{\"idTag\":null}", NULL},
        {"{\"idToken\":\"B\"}", NULL},
        {"{\"idToken\":{\"idToken\":{}}}", NULL},
        {"{\"idToken\":{\"type\":\"NoAuthorization\"}}", NULL},
        {"{}", NULL},
        {"[]", NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        is(dialect_token(&tape, scan(rows[i].payload)), rows[i].token);
    uint32_t info = dialect_token_info(
        &tape, scan("{\"idTagInfo\":{\"status\":\"x\",\"expiryDate\":\"t\"}}"));
    is(info, "{\"status\":\"x\",\"expiryDate\":\"t\"}");
    is(dialect_token_expiry(&tape, info), "\"t\"");
    info = dialect_token_info(
        &tape, scan("{\"idTokenInfo\":{\"cacheExpiryDateTime\":\"u\"}}"));
    is(dialect_token_expiry(&tape, info), "\"u\"");
    is(dialect_token_info(&tape, scan("{\"idTag\":\"A\"}")), NULL);
}

#define RESULT(component, variable, status)                                    \
    "{\"setVariableResult\":[{\"component\":{\"name\":\"Other\"},"             \
    "\"variable\":{\"name\":\"V\"},\"attributeStatus\":\"Rejected\"},"         \
    "{\"component\":{\"name\":\"" component                                    \
    "\"},\"variable\":{\"name\":\"" variable                                   \
    "\"},\"attributeStatus\":\"" status "\"}]}"

static void
answers_to_commands(void)
{
    static const struct {
        const char *payload;
        bool        accepted, later;
    } rows[] = {
        {"{\"status\":\"Accepted\"}", true, false},
        {"{\"status\":\"RebootRequired\"}", true, true},
        {"{\"status\":\"Rejected\"}", false, false},
        {"{\"status\":\"accepted\"}", false, false},
        {"{\"status\":true}", false, false},
        {"{}", false, false},
        {RESULT("SecurityCtrlr", "BasicAuthPassword", "Accepted"), true, false},
        {RESULT("SecurityCtrlr", "BasicAuthPassword", "RebootRequired"), true,
            true},
        {RESULT("SecurityCtrlr", "BasicAuthPassword", "Rejected"), false,
            false},
        {RESULT("SecurityCtrlr", "Identity", "Accepted"), false, false},
        {RESULT("Ctrlr", "BasicAuthPassword", "Accepted"), false, false},
        {"{\"setVariableResult\":{}}", false, false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t payload = scan(rows[i].payload);
        CHECK_EQ(dialect_accepted(&tape, payload), rows[i].accepted);
        CHECK_EQ(dialect_accepted_later(&tape, payload), rows[i].later);
    }
}

#define DATA(component, variable)                                              \
    "{\"setVariableData\":[{\"component\":{\"name\":\"Other\"},"               \
    "\"variable\":{\"name\":\"BasicAuthPassword\"},"                           \
    "\"attributeValue\":\"no\"},{\"component\":{\"name\":\"" component         \
    "\"},\"variable\":{\"name\":\"" variable "\"},\"attributeValue\":\"k\"}]}"

static void
new_keys(void)
{
    static const struct {
        const char *action, *payload, *key;
    } rows[] = {
        {"ChangeConfiguration",
            "{\"key\":\"AuthorizationKey\",\"value\":\"k\"}", "\"k\""},
        {"ChangeConfiguration", "{\"key\":\"AuthorizationKey\"}", NULL},
        {"ChangeConfiguration",
            "{\"key\":\"HeartbeatInterval\",\"value\":\"k\"}", NULL},
        {"ChangeConfiguration", "{\"value\":\"k\"}", NULL},
        {"DataTransfer", "{\"key\":\"AuthorizationKey\",\"value\":\"k\"}",
            NULL},
        {"SetVariables", DATA("SecurityCtrlr", "BasicAuthPassword"), "\"k\""},
        {"SetVariables", DATA("SecurityCtrlr", "Identity"), NULL},
        {"SetVariables", DATA("Ctrlr", "BasicAuthPassword"), NULL},
        {"SetVariables", "{\"setVariableData\":7}", NULL},
        {"ChangeConfiguration", DATA("SecurityCtrlr", "BasicAuthPassword"),
            NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        is(dialect_new_key(rows[i].action, &tape, scan(rows[i].payload)),
            rows[i].key);
}

static void
asked_messages(void)
{
    static const struct {
        const char *payload, *sent;
    } rows[] = {
        {"{}", "NotifyReport"},
        {"{\"requestedMessage\":\"Heartbeat\"}", "Heartbeat"},
        {"{\"requestedMessage\":\"StatusNotification\"}",
            "StatusNotification NotifyEvent"},
        {"{\"requestedMessage\":\"SignV2GCertificate\"}", "SignCertificate"},
        {"{\"requestedMessage\":\"CustomTrigger\"}", "DataTransfer"},
        {"{\"requestedMessage\":\"Authorize\"}", ""},
        {"{\"requestedMessage\":7}", ""},
    };
    struct buf out = BUF_INIT(1000);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint16_t set = dialect_caused_by(&tape, scan(rows[i].payload));
        buf_clear(&out);
        dialect_put_caused(&out, set);
        CHECK_STR(buf_cstr(&out), rows[i].sent);
        /* The result of reading contains the written value, because several
         * requests may cause the same word. */
        CHECK_EQ(dialect_read_caused(buf_cstr(&out)) & set, set);
    }
    UNIT_CASE("");
    for (unsigned d = 0; d < DIALECTS; d++) {
        const struct schema_message *m =
            schema_find(dialects[d].schema, "Heartbeat", 9);
        const struct schema_message *other =
            schema_find(dialects[d].schema, "Authorize", 9);
        scan("{\"requestedMessage\":\"Heartbeat\"}");
        CHECK_EQ(dialect_caused(m), dialect_caused_by(&tape, 1));
        CHECK_EQ(dialect_caused(other), 0);
        CHECK(dialect_authorize(&dialects[d]) == other);
    }
    buf_free(&out);
}

int
main(void)
{
    id_tokens();
    answers_to_commands();
    new_keys();
    asked_messages();
    return unit_done();
}
