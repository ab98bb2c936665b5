/* transaction: one vocabulary for transactions. See transaction.h. */
#include "ocpp/transaction.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ocpp/schema_format.h"

bool
transaction_is_kind(enum event_kind kind)
{
    return kind == EVENT_tx_started || kind == EVENT_tx_updated ||
        kind == EVENT_tx_stopped || kind == EVENT_meter_values;
}

/* Member of an object; 0 if there is none, or if it is null. */
static uint32_t
member(const struct json *j, uint32_t object, const char *name)
{
    uint32_t i = json_member(j, object, name, strlen(name));

    return i != 0 && j->tok[i].type != JSON_NULL ? i : 0;
}

/* Member of a member: 0 also if the outer one is not there. */
static uint32_t
inner(const struct json *j, uint32_t object, const char *name)
{
    return object != 0 ? member(j, object, name) : 0;
}

/* A value of the payload, as valid JSON. */
static void
put(struct writer *w, const char *key, const struct json *j, uint32_t i)
{
    if (i == 0)
        return;
    writer_raw(w, key, "", 0);
    json_put(j, i, w->out);
}

/* An id, which is text in all versions. */
static void
put_text(struct writer *w, const char *key, const struct json *j, uint32_t i)
{
    if (i == 0)
        return;
    bool number = j->tok[i].type == JSON_NUMBER;
    writer_raw(w, key, "\"", number);
    json_put(j, i, w->out);
    if (number)
        buf_addc(w->out, '"');
}

/* --- meters -------------------------------------------------------------- */

/* A number, also one in a string: charge points of 1.6 write samples so. */
static bool
number_of(const struct json *j, uint32_t i, double *value)
{
    char text[64];
    bool full;

    if (i == 0)
        return false;
    if (j->tok[i].type == JSON_NUMBER)
        return json_double(j, i, value) && isfinite(*value);
    if (j->tok[i].type != JSON_STRING || !schema_numeric(j, i))
        return false;
    size_t n = json_string(j, i, text, sizeof text - 1, &full);
    text[n] = '\0';
    *value = strtod(text, NULL);
    return full && isfinite(*value);
}

static bool
is_or_absent(const struct json *j, uint32_t i, const char *value)
{
    return i == 0 || json_equals(j, i, value, strlen(value));
}

/* The sample in Wh, if it is of the meter that is billed: the imported active
 * energy of all phases. */
static bool
sample_wh(const struct json *j, uint32_t sample, double *wh)
{
    uint32_t unit = member(j, sample, "unit");
    uint32_t of_measure = member(j, sample, "unitOfMeasure");
    double   value, multiplier = 0;

    if (!is_or_absent(j, member(j, sample, "measurand"),
            "Energy.Active.Import.Register") ||
        member(j, sample, "phase") != 0 ||
        !number_of(j, member(j, sample, "value"), &value))
        return false;
    if (of_measure != 0) {
        unit = inner(j, of_measure, "unit");
        number_of(j, inner(j, of_measure, "multiplier"), &multiplier);
    }
    if (unit != 0 && json_equals(j, unit, "kWh", 3))
        value *= 1000;
    else if (!is_or_absent(j, unit, "Wh"))
        return false;
    value *= pow(10, multiplier);
    *wh = value;
    return isfinite(value);
}

/* The last such sample of the meter values. */
static bool
last_wh(const struct json *j, uint32_t values, double *wh)
{
    bool any = false;

    if (values == 0 || j->tok[values].type != JSON_ARRAY)
        return false;
    for (uint32_t v = values + 1; v < j->tok[values].next; v = j->tok[v].next) {
        uint32_t samples = member(j, v, "sampledValue");
        if (samples == 0 || j->tok[samples].type != JSON_ARRAY)
            continue;
        for (uint32_t s = samples + 1; s < j->tok[samples].next;
             s = j->tok[s].next)
            any |= sample_wh(j, s, wh);
    }
    return any;
}

static void
put_meter(struct writer *w, const struct json *j, uint32_t payload)
{
    char     text[64];
    double   wh;
    uint32_t own = member(j, payload, "meterStart");

    if (own == 0)
        own = member(j, payload, "meterStop");
    if (!number_of(j, own, &wh) &&
        !last_wh(j, member(j, payload, "meterValue"), &wh))
        return;
    if (fabs(wh) >= 1e15)
        return;
    int n = snprintf(text, sizeof text, "%.3f", wh);
    while (text[n - 1] == '0')
        n--;
    n -= text[n - 1] == '.';
    if (n == 2 && memcmp(text, "-0", 2) == 0)
        n = 1, text[0] = '0';
    writer_raw(w, "meterWh", text, (size_t)n);
}

/* --- the rest ------------------------------------------------------------ */

/* The id in an answer to a start of 1.6. */
static void
put_id_of_answer(struct writer *w, const char *answer, size_t len)
{
    struct json_token tokens[256];
    struct json       j = JSON_INIT(tokens, 256);

    if (answer != NULL && json_scan(&j, answer, len))
        put_text(w, "id", &j, json_member(&j, 0, "transactionId", 13));
}

static void
put_token(struct writer *w, const struct json *j, uint32_t payload)
{
    uint32_t token = member(j, payload, "idToken");

    put(w, "token", j,
        token ? inner(j, token, "idToken") : member(j, payload, "idTag"));
    put(w, "tokenType", j, inner(j, token, "type"));
}

static uint32_t
remote_start(const struct json *j, uint32_t payload)
{
    uint32_t info = json_member(j, payload, "transactionInfo", 15);

    return info ? inner(j, info, "remoteStartId") : 0;
}

void
transaction_put(struct writer *w, enum event_kind kind, const struct json *j,
    uint32_t payload, const char *answer, size_t answer_len,
    const char *command_id)
{
    uint32_t info = member(j, payload, "transactionInfo");
    uint32_t evse = member(j, payload, "evse");
    uint32_t reason = member(j, payload, "reason");

    writer_open(w, "tx", '{');
    if (kind == EVENT_tx_started && info == 0)
        put_id_of_answer(w, answer, answer_len);
    else
        put_text(w, "id", j,
            info ? inner(j, info, "transactionId")
                 : member(j, payload, "transactionId"));
    put(w, "seq", j, member(j, payload, "seqNo"));
    put(w, "evse", j,
        evse ? inner(j, evse, "id") : member(j, payload, "evseId"));
    put(w, "connector", j,
        evse ? inner(j, evse, "connectorId")
             : member(j, payload, "connectorId"));
    put_token(w, j, payload);
    put_meter(w, j, payload);
    if (kind == EVENT_tx_stopped) {
        if (info != 0)
            reason = inner(j, info, "stoppedReason");
        if (reason != 0)
            put(w, "reason", j, reason);
        else
            writer_str(w, "reason", "Local");
    }
    put(w, "trigger", j, member(j, payload, "triggerReason"));
    put(w, "state", j, inner(j, info, "chargingState"));
    put(w, "offline", j, member(j, payload, "offline"));
    put(w, "remoteStartId", j, remote_start(j, payload));
    if (command_id != NULL)
        writer_str(w, "commandId", command_id);
    writer_close(w);
}
