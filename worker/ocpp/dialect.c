/* dialect: the OCPP versions that are supported. See dialect.h. */
#include "ocpp/dialect.h"

#include <string.h>

#include "base/self.h"

const struct dialect dialects[DIALECTS] = {
    [DIALECT_ocpp16] = {.name = "ocpp1.6",
        .schema = &schema_ocpp16,
        .spelling = OCPPJ_SPELLING_16,
        .last_type = OCPPJ_CALLERROR},
    [DIALECT_ocpp201] = {.name = "ocpp2.0.1",
        .schema = &schema_ocpp201,
        .spelling = OCPPJ_SPELLING_2X,
        .last_type = OCPPJ_CALLERROR,
        .answers_unreadable = true,
        .answers_unknown_type = true,
        .refuses_before_boot = true},
    [DIALECT_ocpp21] = {.name = "ocpp2.1",
        .schema = &schema_ocpp21,
        .spelling = OCPPJ_SPELLING_2X,
        .last_type = OCPPJ_SEND,
        .answers_unreadable = true,
        .answers_results = true,
        .refuses_before_boot = true},
};

enum ocppj_mode
dialect_mode(void)
{
    return self.conf.ocpp_validation == CONF_ocpp_validation_strict
        ? OCPPJ_STRICT
        : OCPPJ_LENIENT;
}

/* The index of the configured value among the choices of the knob at this
 * offset. */
static unsigned
choice(uint16_t knob, uint16_t first)
{
    enum conf_choice set;

    memcpy(&set, (const char *)&self.conf + knob, sizeof set);
    return (unsigned)set - first;
}

bool
dialect_asks_platform(const struct schema_message *m)
{
    return m->answer != NULL &&
        choice(m->answer->knob, m->answer->first) == m->answer->count;
}

const char *
dialect_status(const struct schema_message *m)
{
    const struct schema_answer *a = m->answer;

    if (a == NULL)
        return "";
    unsigned i = choice(a->knob, a->first);
    if (i >= a->count)
        i = a->fallback ? choice(a->fallback, a->fallback_first) : 0;
    return a->statuses[i];
}

const struct schema_message *
dialect_authorize(const struct dialect *d)
{
    static const struct schema_message *found[DIALECTS];
    const struct schema_message       **m = &found[d - dialects];

    if (*m == NULL)
        *m = schema_find(d->schema, "Authorize", 9);
    return *m;
}

uint32_t
dialect_token(const struct json *tape, uint32_t payload)
{
    uint32_t i = json_member(tape, payload, "idTag", 5);

    if (i == 0 && (i = json_member(tape, payload, "idToken", 7)) != 0)
        i = json_member(tape, i, "idToken", 7);
    return i != 0 && tape->tok[i].type == JSON_STRING ? i : 0;
}

uint32_t
dialect_token_info(const struct json *tape, uint32_t payload)
{
    uint32_t i = json_member(tape, payload, "idTagInfo", 9);

    return i != 0 ? i : json_member(tape, payload, "idTokenInfo", 11);
}

uint32_t
dialect_token_expiry(const struct json *tape, uint32_t info)
{
    uint32_t i = json_member(tape, info, "expiryDate", 10);

    return i != 0 ? i : json_member(tape, info, "cacheExpiryDateTime", 19);
}

void
dialect_put_token(struct writer *w, const struct json *tape, uint32_t payload)
{
    static const char *const names[] = {"idTag", "idToken"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint32_t m = json_member(tape, payload, names[i], strlen(names[i]));
        if (m == 0)
            continue;
        writer_raw(w, names[i], "", 0);
        json_put(tape, m, w->out);
    }
}

const char *
dialect_token_status(const struct dialect *d)
{
    return dialect_status(dialect_authorize(d));
}

static bool
member_is(
    const struct json *j, uint32_t object, const char *name, const char *value)
{
    uint32_t i = json_member(j, object, name, strlen(name));

    return i != 0 && json_equals(j, i, value, strlen(value));
}

/* Finds the element about SecurityCtrlr.BasicAuthPassword in the array `list`
 * of a SetVariables request or response. */
static uint32_t
password_element(const struct json *j, uint32_t payload, const char *list)
{
    uint32_t all = json_member(j, payload, list, strlen(list));

    if (all == 0 || j->tok[all].type != JSON_ARRAY)
        return 0;
    for (uint32_t i = all + 1; i < j->tok[all].next; i = j->tok[i].next) {
        uint32_t component = json_member(j, i, "component", 9);
        uint32_t variable = json_member(j, i, "variable", 8);
        if (component != 0 && variable != 0 &&
            member_is(j, component, "name", "SecurityCtrlr") &&
            member_is(j, variable, "name", "BasicAuthPassword"))
            return i;
    }
    return 0;
}

static bool
status_is(const struct json *tape, uint32_t payload, const char *word)
{
    uint32_t element = password_element(tape, payload, "setVariableResult");
    uint32_t status = element
        ? json_member(tape, element, "attributeStatus", 15)
        : json_member(tape, payload, "status", 6);

    return status != 0 && json_equals(tape, status, word, strlen(word));
}

bool
dialect_accepted(const struct json *tape, uint32_t payload)
{
    return status_is(tape, payload, "Accepted") ||
        dialect_accepted_later(tape, payload);
}

bool
dialect_accepted_later(const struct json *tape, uint32_t payload)
{
    return status_is(tape, payload, "RebootRequired");
}

uint32_t
dialect_new_key(const char *action, const struct json *tape, uint32_t payload)
{
    if (strcmp(action, "SetVariables") == 0) {
        uint32_t element = password_element(tape, payload, "setVariableData");
        return element ? json_member(tape, element, "attributeValue", 14) : 0;
    }
    if (strcmp(action, "ChangeConfiguration") != 0)
        return 0;
    uint32_t key = json_member(tape, payload, "key", 3);
    if (key == 0 || !json_equals(tape, key, "AuthorizationKey", 16))
        return 0;
    return json_member(tape, payload, "value", 5);
}

/* The messages that a charge point sends because of a request, by the word in
 * requestedMessage. A request without that member asks for a report. In 2.1 the
 * status of a connector may also come in a NotifyEvent. */
static const struct {
    const char *asked, *sent;
} caused[] = {
    {"", "NotifyReport"},
    {"Heartbeat", "Heartbeat"},
    {"MeterValues", "MeterValues"},
    {"StatusNotification", "StatusNotification"},
    {"StatusNotification", "NotifyEvent"},
    {"TransactionEvent", "TransactionEvent"},
    {"LogStatusNotification", "LogStatusNotification"},
    {"FirmwareStatusNotification", "FirmwareStatusNotification"},
    {"PublishFirmwareStatusNotification", "PublishFirmwareStatusNotification"},
    {"SignChargingStationCertificate", "SignCertificate"},
    {"SignV2GCertificate", "SignCertificate"},
    {"SignV2G20Certificate", "SignCertificate"},
    {"SignCombinedCertificate", "SignCertificate"},
    {"CustomTrigger", "DataTransfer"},
};

#define CAUSED (sizeof caused / sizeof caused[0])
_Static_assert(CAUSED <= 16, "a set of them is a 16-bit word");

uint16_t
dialect_caused_by(const struct json *tape, uint32_t payload)
{
    uint32_t word = json_member(tape, payload, "requestedMessage", 16);
    uint16_t set = 0;

    for (size_t i = 0; i < CAUSED; i++)
        if (word == 0 ? caused[i].asked[0] == '\0'
                      : json_equals(tape, word, caused[i].asked,
                            strlen(caused[i].asked)))
            set |= (uint16_t)(1u << i);
    return set;
}

uint16_t
dialect_caused(const struct schema_message *m)
{
    uint16_t set = 0;

    for (size_t i = 0; i < CAUSED; i++)
        if (strcmp(caused[i].sent, m->name) == 0)
            set |= (uint16_t)(1u << i);
    return set;
}

void
dialect_put_caused(struct buf *out, uint16_t set)
{
    size_t begin = out->len;

    for (size_t i = 0; i < CAUSED; i++)
        if (set >> i & 1) {
            if (out->len > begin)
                buf_addc(out, ' ');
            buf_adds(out, caused[i].sent);
        }
}

uint16_t
dialect_read_caused(const char *names)
{
    uint16_t set = 0;

    while (*names != '\0') {
        size_t n = strcspn(names, " ");
        for (size_t i = 0; i < CAUSED; i++)
            if (strlen(caused[i].sent) == n &&
                memcmp(caused[i].sent, names, n) == 0)
                set |= (uint16_t)(1u << i);
        names += n + (names[n] == ' ');
    }
    return set;
}
