/* transaction: the facts about a transaction in a message. See
   transaction.h. */
#include "ocpp/transaction.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "ocpp/schema_format.h"

bool
transaction_is_kind(enum event_kind kind)
{
    return kind == EVENT_tx_started || kind == EVENT_tx_updated ||
        kind == EVENT_tx_stopped || kind == EVENT_meter_values;
}

/* The members that are read from a payload of any version and from the objects
 * in it. Each object is read in one pass; the index of a missing value is 0. */
#define PAYLOAD(FIELD)                                                         \
    FIELD(transactionId)                                                       \
    FIELD(transactionInfo)                                                     \
    FIELD(connectorId)                                                         \
    FIELD(evse)                                                                \
    FIELD(evseId)                                                              \
    FIELD(idTag)                                                               \
    FIELD(idToken)                                                             \
    FIELD(meterStart)                                                          \
    FIELD(meterStop)                                                           \
    FIELD(meterValue)                                                          \
    FIELD(offline)                                                             \
    FIELD(reason)                                                              \
    FIELD(seqNo)                                                               \
    FIELD(triggerReason)
#define INFO(FIELD)                                                            \
    FIELD(transactionId)                                                       \
    FIELD(chargingState)                                                       \
    FIELD(remoteStartId)                                                       \
    FIELD(stoppedReason)
#define EVSE(FIELD) FIELD(id) FIELD(connectorId)
#define TOKEN(FIELD) FIELD(idToken) FIELD(type)
#define SAMPLE(FIELD)                                                          \
    FIELD(measurand)                                                           \
    FIELD(phase)                                                               \
    FIELD(unit)                                                                \
    FIELD(unitOfMeasure)                                                       \
    FIELD(value)
#define MEASURE(FIELD) FIELD(multiplier) FIELD(unit)

#define MEMBER(name) uint32_t name;
#define NAME(name) JSON_NAME(#name),
#define READER(struct_name, FIELDS)                                            \
    struct struct_name {                                                       \
        FIELDS(MEMBER)                                                         \
    };                                                                         \
    static struct struct_name read_##struct_name(                              \
        const struct json *j, uint32_t object)                                 \
    {                                                                          \
        static const struct json_name names[] = {FIELDS(NAME)};                \
        union {                                                                \
            uint32_t           index[sizeof names / sizeof names[0]];          \
            struct struct_name named;                                          \
        } read;                                                                \
                                                                               \
        json_members(                                                          \
            j, object, names, sizeof names / sizeof names[0], read.index);     \
        return read.named;                                                     \
    }

READER(payload, PAYLOAD)
READER(info, INFO)
READER(evse, EVSE)
READER(token, TOKEN)
READER(sample, SAMPLE)
READER(measure, MEASURE)

/* Writes a value of the payload as valid JSON. */
static void
put(struct writer *w, const char *key, const struct json *j, uint32_t i)
{
    if (i == 0)
        return;
    writer_raw(w, key, "", 0);
    json_put(j, i, w->out);
}

/* As put(), for a value that must be a number according to the schema. A value
 * that is neither a number nor a string is omitted, because programs rely on
 * the form of `tx`.
 */
static void
put_plain(struct writer *w, const char *key, const struct json *j, uint32_t i)
{
    if (i != 0 &&
        (j->tok[i].type == JSON_NUMBER || j->tok[i].type == JSON_STRING))
        put(w, key, j, i);
}

/* As put(), for an id, which is a string in `tx` in all versions. */
static void
put_text(struct writer *w, const char *key, const struct json *j, uint32_t i)
{
    if (i == 0 ||
        (j->tok[i].type != JSON_NUMBER && j->tok[i].type != JSON_STRING))
        return;
    bool number = j->tok[i].type == JSON_NUMBER;
    writer_raw(w, key, "\"", number);
    json_put(j, i, w->out);
    if (number)
        buf_addc(w->out, '"');
}

enum transaction_says
transaction_says(
    enum event_kind kind, const struct json *tape, uint32_t payload)
{
    switch (kind) {
    case EVENT_tx_started:
    case EVENT_tx_updated:
        return TRANSACTION_GOES_ON;
    case EVENT_tx_stopped:
        return TRANSACTION_HAS_ENDED;
    case EVENT_meter_values:
        return json_member(tape, payload, "transactionId", 13) != 0
            ? TRANSACTION_GOES_ON
            : TRANSACTION_SAYS_NOTHING;
    default:
        return TRANSACTION_SAYS_NOTHING;
    }
}

/* --- fingerprints -------------------------------------------------------- */

/* The members that are part of the fingerprint, in this order, of 1.6 and of
 * 2.x. The transaction id is inside transactionInfo. */
#define PRINT(FIELD)                                                           \
    FIELD(connectorId)                                                         \
    FIELD(idTag)                                                               \
    FIELD(timestamp)                                                           \
    FIELD(meterStart)                                                          \
    FIELD(eventType)                                                           \
    FIELD(seqNo)                                                               \
    FIELD(transactionInfo)

READER(print, PRINT)

/* The text of value i, in a form that does not depend on how it was sent: a
 * string without escapes, a number as in events. */
static struct json_name
plain_text(const struct json *j, uint32_t i)
{
    static struct buf number = {.max = 512};
    static char       string[512];
    struct json_name  text;
    bool              full = false;

    text.name = json_raw(j, i, &text.len);
    if (j->tok[i].type == JSON_STRING && (j->tok[i].flags & JSON_ESCAPED)) {
        size_t n = json_string(j, i, string + 1, sizeof string - 2, &full);
        string[0] = string[n + 1] = '"';
        if (full)
            text = (struct json_name){string, n + 2};
    } else if (j->tok[i].type == JSON_NUMBER && j->deviations != 0) {
        buf_clear(&number);
        json_put(j, i, &number);
        if (!number.overflow)
            text = (struct json_name){number.p, number.len};
    }
    return text;
}

static void
add(uint64_t fingerprint[2], const struct json *tape, uint32_t i)
{
    struct json_name text = {"", 0};

    if (i != 0)
        text = plain_text(tape, i);
    fingerprint[0] = hash_sum(text.name, text.len, fingerprint[0]);
    fingerprint[1] = hash_sum(text.name, text.len, fingerprint[1]);
}

enum registry_start_kind
transaction_kind(enum event_kind event)
{
    return event == EVENT_tx_stopped ? REGISTRY_START_STOP : REGISTRY_START;
}

void
transaction_fingerprint(enum registry_start_kind kind, const struct json *tape,
    uint32_t payload, uint64_t fingerprint[2])
{
    if (kind == REGISTRY_START_STOP) {
        fingerprint[0] = 3;
        fingerprint[1] = 4;
        add(fingerprint, tape, payload);
        return;
    }
    struct print p = read_print(tape, payload);
    uint32_t     info = p.transactionInfo;

    fingerprint[0] = 1;
    fingerprint[1] = 2;
    add(fingerprint, tape, p.connectorId);
    add(fingerprint, tape, p.idTag);
    add(fingerprint, tape, p.timestamp);
    add(fingerprint, tape, p.meterStart);
    add(fingerprint, tape, p.eventType);
    add(fingerprint, tape, p.seqNo);
    add(fingerprint, tape,
        info ? json_member(tape, info, "transactionId", 13) : 0);
}

/* --- meters -------------------------------------------------------------- */

/* Reads a number, which may be inside a string, as samples are in 1.6. */
static bool
number_of(const struct json *j, uint32_t i, double *value)
{
    if (i == 0)
        return false;
    if (j->tok[i].type == JSON_STRING ? !schema_numeric(j, i, value)
                                      : !json_double(j, i, value))
        return false;
    return isfinite(*value);
}

static bool
is_or_absent(const struct json *j, uint32_t i, const char *value)
{
    return i == 0 || json_equals(j, i, value, strlen(value));
}

/* Reads the sample in Wh, if it is of the measurand that is billed: the
 * imported active energy of all phases. */
static bool
sample_wh(const struct json *j, uint32_t sample, double *wh)
{
    struct sample s = read_sample(j, sample);
    uint32_t      unit = s.unit;
    double        value, multiplier = 0;

    if (!is_or_absent(j, s.measurand, "Energy.Active.Import.Register") ||
        s.phase != 0 || !number_of(j, s.value, &value))
        return false;
    if (s.unitOfMeasure != 0) {
        struct measure m = read_measure(j, s.unitOfMeasure);
        unit = m.unit;
        /* If the unit cannot be read, the value is unknown. */
        if (j->tok[s.unitOfMeasure].type != JSON_OBJECT ||
            (m.multiplier != 0 &&
                (!number_of(j, m.multiplier, &multiplier) ||
                    multiplier != floor(multiplier))))
            return false;
    }
    if (unit != 0 && json_equals(j, unit, "kWh", 3))
        value *= 1000;
    else if (!is_or_absent(j, unit, "Wh"))
        return false;
    if (multiplier != 0)
        value *= pow(10, multiplier);
    *wh = value;
    return isfinite(value);
}

/* Finds the last sample of this measurand in the meter values. */
static bool
last_wh(const struct json *j, uint32_t values, double *wh)
{
    bool any = false;

    if (values == 0 || j->tok[values].type != JSON_ARRAY)
        return false;
    for (uint32_t v = values + 1; v < j->tok[values].next; v = j->tok[v].next) {
        uint32_t samples = json_member(j, v, "sampledValue", 12);
        if (samples == 0 || j->tok[samples].type != JSON_ARRAY)
            continue;
        for (uint32_t s = samples + 1; s < j->tok[samples].next;
             s = j->tok[s].next)
            any |= sample_wh(j, s, wh);
    }
    return any;
}

/* Writes a number given in thousandths, without trailing zeros. */
static void
put_milli(struct writer *w, const char *key, int64_t milli)
{
    char     text[24], *p = text + sizeof text;
    uint64_t rest = milli < 0 ? -(uint64_t)milli : (uint64_t)milli;
    bool     digits = false;

    for (int i = 0; i < 3; i++, rest /= 10) {
        digits |= rest % 10 != 0;
        if (digits)
            *--p = (char)('0' + rest % 10);
    }
    if (digits)
        *--p = '.';
    do
        *--p = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (milli < 0)
        *--p = '-';
    writer_raw(w, key, p, (size_t)(text + sizeof text - p));
}

static void
put_meter(struct writer *w, const struct json *j, const struct payload *p)
{
    double wh;

    if (!number_of(j, p->meterStart ? p->meterStart : p->meterStop, &wh) &&
        !last_wh(j, p->meterValue, &wh))
        return;
    if (fabs(wh) < 1e15) {
        double whole = trunc(wh);
        put_milli(
            w, "meterWh", (int64_t)whole * 1000 + llround((wh - whole) * 1000));
    }
}

/* --- the rest ------------------------------------------------------------ */

/* Writes the transaction id of an answer to a StartTransaction (1.6). */
static void
put_id_of_answer(struct writer *w, const char *answer, size_t len)
{
    struct json_token tokens[256];
    struct json       j = JSON_INIT(tokens, 256);

    if (answer != NULL && json_scan(&j, answer, len))
        put_text(w, "id", &j, json_member(&j, 0, "transactionId", 13));
}

static void
put_token(struct writer *w, const struct json *j, const struct payload *p)
{
    struct token token = {0};

    if (p->idToken != 0)
        token = read_token(j, p->idToken);

    put(w, "token", j, p->idToken ? token.idToken : p->idTag);
    put(w, "tokenType", j, token.type);
}

void
transaction_put(struct writer *w, enum event_kind kind, const struct json *j,
    uint32_t payload, const char *answer, size_t answer_len,
    const char *command_id)
{
    struct payload p = read_payload(j, payload);
    struct info    info = {0};
    struct evse    evse = {0};

    if (p.transactionInfo != 0)
        info = read_info(j, p.transactionInfo);
    if (p.evse != 0)
        evse = read_evse(j, p.evse);

    writer_open(w, "tx", '{');
    if (kind == EVENT_tx_started && p.transactionInfo == 0)
        put_id_of_answer(w, answer, answer_len);
    else
        put_text(w, "id", j,
            p.transactionInfo ? info.transactionId : p.transactionId);
    put_plain(w, "seq", j, p.seqNo);
    put_plain(w, "evse", j, p.evse ? evse.id : p.evseId);
    put_plain(w, "connector", j, p.evse ? evse.connectorId : p.connectorId);
    put_token(w, j, &p);
    put_meter(w, j, &p);
    if (kind == EVENT_tx_stopped) {
        uint32_t reason = p.transactionInfo ? info.stoppedReason : p.reason;
        if (reason != 0)
            put(w, "reason", j, reason);
        else
            writer_str(w, "reason", "Local");
    }
    put(w, "trigger", j, p.triggerReason);
    put(w, "state", j, info.chargingState);
    put(w, "offline", j, p.offline);
    put(w, "remoteStartId", j, info.remoteStartId);
    if (command_id != NULL)
        writer_str(w, "commandId", command_id);
    writer_close(w);
}

/* --- the command that asked for it --------------------------------------- */

/* The index of a member of an object; 0 if there is none, or it is null. */
static uint32_t
member(const struct json *j, uint32_t object, const char *name)
{
    uint32_t i = json_member(j, object, name, strlen(name));

    return i != 0 && j->tok[i].type != JSON_NULL ? i : 0;
}

/* As member(); 0 also if there is no object. */
static uint32_t
inner(const struct json *j, uint32_t object, const char *name)
{
    return object != 0 ? member(j, object, name) : 0;
}

/* The members of a command for a transaction by which the transaction is
   found. */
static const char *const remote_members[] = {
    "remoteStartId", "idTag", "connectorId"};

bool
transaction_is_remote(const char *action)
{
    return strcmp(action, "RequestStartTransaction") == 0 ||
        strcmp(action, "RemoteStartTransaction") == 0;
}

static uint64_t
hash(uint64_t seed, const char *text, size_t len)
{
    uint64_t h = hash_sum(text, len, seed);

    return h ? h : 1;
}

/* Hashes a value as text: numbers in one form, and tokens in lower case,
 * because 1.6 compares tokens without regard to case. */
static uint64_t
hash_of(const struct json *j, uint32_t i, uint64_t seed, bool lower)
{
    char    text[256];
    size_t  n;
    int64_t number;

    if (i == 0)
        return 0;
    if (json_int64(j, i, &number)) {
        n = (size_t)snprintf(text, sizeof text, "%" PRId64, number);
    } else if (j->tok[i].type == JSON_STRING) {
        n = json_string(j, i, text, sizeof text, NULL);
        for (size_t k = 0; lower && k < n; k++)
            if (text[k] >= 'A' && text[k] <= 'Z')
                text[k] += 'a' - 'A';
    } else {
        return 0;
    }
    return hash(seed, text, n);
}

static struct transaction_remote
remote_of(const struct json *j, uint32_t id, uint32_t token, uint32_t connector)
{
    struct transaction_remote r = {.by_token = id == 0};
    int64_t                   n = 0;

    r.key = id ? hash_of(j, id, 1, false) : hash_of(j, token, 2, true);
    if (r.by_token && connector != 0 && json_int64(j, connector, &n) && n > 0 &&
        n < UINT32_MAX)
        r.connector = (uint32_t)n;
    return r;
}

struct transaction_remote
transaction_remote_of_command(const struct json *j, uint32_t payload)
{
    return remote_of(j, member(j, payload, "remoteStartId"),
        member(j, payload, "idTag"), member(j, payload, "connectorId"));
}

void
transaction_put_remote(struct writer *w, const struct json *j, uint32_t payload)
{
    for (size_t i = 0; i < sizeof remote_members / sizeof remote_members[0];
         i++)
        put(w, remote_members[i], j, member(j, payload, remote_members[i]));
}

struct transaction_remote
transaction_remote_of_message(
    enum event_kind kind, const struct json *j, uint32_t payload)
{
    uint32_t info = json_member(j, payload, "transactionInfo", 15);
    uint32_t id = inner(j, info, "remoteStartId");

    if (info != 0)
        return remote_of(j, id, 0, 0);
    if (kind == EVENT_tx_started)
        return remote_of(j, 0, member(j, payload, "idTag"),
            member(j, payload, "connectorId"));
    return (struct transaction_remote){0};
}

uint64_t
transaction_hash(const struct json *j, uint32_t id)
{
    return hash_of(j, id, 3, false);
}

uint64_t
transaction_id_hash(enum event_kind kind, const struct json *j,
    uint32_t payload, const char *answer, size_t answer_len)
{
    struct json_token tokens[256];
    struct json       a = JSON_INIT(tokens, 256);
    uint32_t          info = member(j, payload, "transactionInfo");

    if (info != 0)
        return transaction_hash(j, inner(j, info, "transactionId"));
    if (kind != EVENT_tx_started)
        return transaction_hash(j, member(j, payload, "transactionId"));
    if (answer == NULL || !json_scan(&a, answer, answer_len))
        return 0;
    return transaction_hash(&a, member(&a, 0, "transactionId"));
}
