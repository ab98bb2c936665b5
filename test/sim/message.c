/* message: the payloads of a charge point, and the answers to them.
 * See message.h. */
#include "message.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/ensure.h"

const char *
message_name(enum message m)
{
    static const char *const names[] = {
#define NAME(word, name, counter) name,
        MESSAGES(NAME)
#undef NAME
    };
    return names[m];
}

const char *
message_subprotocol(enum message_version version)
{
    static const char *const names[] = {"ocpp1.6", "ocpp2.0.1", "ocpp2.1"};

    return names[version];
}

int
message_action(const char *name)
{
    for (int m = 0; m < MESSAGE_COUNT; m++)
        if (strcmp(message_name((enum message)m), name) == 0)
            return m;
    return -1;
}

void
message_put(struct message_text *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(t->p + t->n, sizeof t->p - t->n, fmt, ap);
    va_end(ap);
    ensure(n >= 0 && (size_t)n < sizeof t->p - t->n);
    t->n += (size_t)n;
}

void
message_begin(struct message_text *t)
{
    t->n = t->hole = 0;
}

void
message_boot(struct message_text *t, const char *serial)
{
    message_begin(t);
    message_put(t,
        "{\"chargePointVendor\":\"ocppd\",\"chargePointModel\":\"ocppsim\","
        "\"chargePointSerialNumber\":\"%.25s\",\"firmwareVersion\":\"1.0\","
        "\"meterType\":\"simulated\"}",
        serial);
}

void
message_heartbeat(struct message_text *t)
{
    message_begin(t);
    message_put(t, "{}");
}

void
message_status(struct message_text *t, int connector,
    enum message_status status, const char *now)
{
    static const char *const words[] = {"Available", "Preparing", "Charging",
        "Finishing", "Reserved", "Unavailable"};
    message_begin(t);
    message_put(t,
        "{\"connectorId\":%d,\"errorCode\":\"NoError\",\"status\":\"%s\","
        "\"timestamp\":\"%s\"}",
        connector, words[status], now);
}

void
message_authorize(struct message_text *t, const char *id_tag)
{
    message_begin(t);
    message_put(t, "{\"idTag\":\"%s\"}", id_tag);
}

void
message_start(
    struct message_text *t, const char *id_tag, uint32_t meter, const char *now)
{
    message_begin(t);
    message_put(t,
        "{\"connectorId\":1,\"idTag\":\"%s\",\"meterStart\":%" PRIu32
        ",\"timestamp\":\"%s\"}",
        id_tag, meter, now);
}

void
message_meter(struct message_text *t, bool bound, uint32_t meter,
    uint32_t power, const char *context, const char *now)
{
    message_begin(t);
    message_put(t, "{\"connectorId\":1,");
    if (bound) {
        message_put(t, "\"transactionId\":");
        t->hole = t->n;
        message_put(t, ",");
    }
    message_put(t,
        "\"meterValue\":[{\"timestamp\":\"%s\",\"sampledValue\":["
        "{\"value\":\"%" PRIu32 "\",\"context\":\"%s\",\"measurand\":"
        "\"Energy.Active.Import.Register\",\"unit\":\"Wh\"},"
        "{\"value\":\"%" PRIu32 "\",\"context\":\"%s\",\"measurand\":"
        "\"Power.Active.Import\",\"unit\":\"W\"},"
        "{\"value\":\"%" PRIu32 ".%" PRIu32 "\",\"context\":\"%s\","
        "\"measurand\":\"Current.Import\",\"unit\":\"A\"}]}]}",
        now, meter, context, power, context, power / 230,
        power % 230 * 10 / 230, context);
}

void
message_stop(struct message_text *t, const char *id_tag, uint32_t meter,
    const char *reason, const char *now)
{
    message_begin(t);
    message_put(t, "{\"transactionId\":");
    t->hole = t->n;
    message_put(t,
        ",\"idTag\":\"%s\",\"meterStop\":%" PRIu32
        ",\"timestamp\":\"%s\",\"reason\":\"%s\"}",
        id_tag, meter, now, reason);
}

void
message_word(struct message_text *t, const char *status)
{
    message_begin(t);
    message_put(t, "{\"status\":\"%s\"}", status);
}

/* --- answers ------------------------------------------------------------- */

static bool
is_time(const cJSON *object, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, name);
    uint64_t     ms;

    return cJSON_IsString(v) &&
        clock_parse_rfc3339(v->valuestring, strlen(v->valuestring), &ms);
}

static const char *
text_of(const cJSON *object, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(v) ? v->valuestring : "";
}

static bool
whole_number(const cJSON *v, double least)
{
    return cJSON_IsNumber(v) && v->valuedouble >= least &&
        v->valuedouble <= INT32_MAX && floor(v->valuedouble) == v->valuedouble;
}

static const char *
judge_tag(struct message_verdict *v, const cJSON *answer, bool must)
{
    const cJSON *info = cJSON_GetObjectItemCaseSensitive(answer, "idTagInfo");

    if (info == NULL)
        return must ? "no idTagInfo" : NULL;
    const char *status = text_of(info, "status");
    v->accepted = strcmp(status, "Accepted") == 0;
    if (!v->accepted && strcmp(status, "Blocked") != 0 &&
        strcmp(status, "Expired") != 0 && strcmp(status, "Invalid") != 0 &&
        strcmp(status, "ConcurrentTx") != 0)
        return "idTagInfo without a status of AuthorizationStatus";
    if (cJSON_GetObjectItemCaseSensitive(info, "expiryDate") != NULL &&
        !is_time(info, "expiryDate"))
        return "expiryDate is not a time";
    return NULL;
}

/* The idTokenInfo of 2.x, in the answer to a message with a token. */
static const char *
judge_token(struct message_verdict *v, const cJSON *answer, bool must)
{
    static const char *const words[] = {"Accepted", "Blocked", "ConcurrentTx",
        "Expired", "Invalid", "NoCredit", "NotAllowedTypeEVSE",
        "NotAtThisLocation", "NotAtThisTime", "Unknown"};
    const cJSON *info = cJSON_GetObjectItemCaseSensitive(answer, "idTokenInfo");
    const char  *status = text_of(info, "status");

    if (info == NULL)
        return must ? "no idTokenInfo" : NULL;
    v->accepted = strcmp(status, "Accepted") == 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(status, words[i]) == 0)
            return NULL;
    return "idTokenInfo without a status of AuthorizationStatusEnumType";
}

static const char *
judge_boot(struct message_verdict *v, const cJSON *answer)
{
    const cJSON *interval =
        cJSON_GetObjectItemCaseSensitive(answer, "interval");
    const char *status = text_of(answer, "status");

    if (!is_time(answer, "currentTime"))
        return "no currentTime";
    if (!whole_number(interval, 0))
        return "no interval";
    v->interval = (int32_t)interval->valuedouble;
    v->accepted = strcmp(status, "Accepted") == 0;
    v->pending = strcmp(status, "Pending") == 0;
    if (!v->accepted && !v->pending && strcmp(status, "Rejected") != 0)
        return "no status of RegistrationStatus";
    return NULL;
}

static const char *
judge_start(struct message_verdict *v, const cJSON *answer)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(answer, "transactionId");

    if (!whole_number(id, 1))
        return "no positive transactionId";
    v->transaction = (int32_t)id->valuedouble;
    return judge_tag(v, answer, true);
}

struct message_verdict
message_judge(enum message m, enum message_version version, struct span answer)
{
    struct message_verdict v = {0};
    const char            *end;
    cJSON *json = cJSON_ParseWithLengthOpts(answer.p, answer.n, &end, false);

    if (!cJSON_IsObject(json)) {
        v.wrong = "the answer is not an object";
        cJSON_Delete(json);
        return v;
    }
    switch (m) {
    case MESSAGE_BOOT:
        v.wrong = judge_boot(&v, json);
        break;
    case MESSAGE_HEARTBEAT:
        v.wrong = is_time(json, "currentTime") ? NULL : "no currentTime";
        break;
    case MESSAGE_AUTHORIZE:
        v.wrong = version == VERSION_16 ? judge_tag(&v, json, true)
                                        : judge_token(&v, json, true);
        break;
    case MESSAGE_TX_STARTED:
        v.wrong = judge_token(&v, json, true);
        break;
    case MESSAGE_TX_UPDATED:
    case MESSAGE_TX_ENDED:
        v.wrong = judge_token(&v, json, false);
        break;
    case MESSAGE_START:
        v.wrong = judge_start(&v, json);
        break;
    case MESSAGE_STOP:
        v.wrong = judge_tag(&v, json, false);
        break;
    default:
        if (json->child != NULL)
            v.wrong = "the answer should be empty";
    }
    cJSON_Delete(json);
    return v;
}
