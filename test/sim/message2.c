/* message2: payloads of a charge point, OCPP 2.0.1 and 2.1. See message2.h. */
#include "message2.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/ensure.h"

static void __attribute__((format(printf, 2, 3)))
put(struct message_text *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(t->p + t->n, sizeof t->p - t->n, fmt, ap);
    va_end(ap);
    ensure(n >= 0 && (size_t)n < sizeof t->p - t->n);
    t->n += (size_t)n;
}

static void
begin(struct message_text *t)
{
    t->n = t->hole = 0;
}

static void
put_text(struct message_text *t, const char *name, const char *value)
{
    if (value != NULL)
        put(t, ",\"%s\":\"%s\"", name, value);
}

void
message2_boot(struct message_text *t, const char *serial)
{
    begin(t);
    put(t,
        "{\"reason\":\"PowerUp\",\"chargingStation\":{\"vendorName\":\"ocppd\","
        "\"model\":\"ocppsim\",\"serialNumber\":\"%.25s\","
        "\"firmwareVersion\":\"1.0\",\"modem\":{\"iccid\":"
        "\"8949000000000000000\",\"imsi\":\"262010000000000\"}}}",
        serial);
}

void
message2_status(struct message_text *t, bool event, uint32_t number,
    enum message_status status, const char *now)
{
    static const char *const words[] = {"Available", "Occupied", "Occupied",
        "Occupied", "Reserved", "Unavailable"};

    begin(t);
    if (!event) {
        put(t,
            "{\"timestamp\":\"%s\",\"connectorStatus\":\"%s\",\"evseId\":1,"
            "\"connectorId\":1}",
            now, words[status]);
        return;
    }
    put(t,
        "{\"generatedAt\":\"%s\",\"seqNo\":0,\"eventData\":[{\"eventId\":"
        "%" PRIu32 ",\"timestamp\":\"%s\",\"trigger\":\"Delta\","
        "\"actualValue\":\"%s\",\"eventNotificationType\":"
        "\"HardWiredNotification\",\"component\":{\"name\":\"Connector\","
        "\"evse\":{\"id\":1,\"connectorId\":1}},\"variable\":{\"name\":"
        "\"AvailabilityState\"}}]}",
        now, number, now, words[status]);
}

static void
put_token(struct message_text *t, const char *token)
{
    put(t, "\"idToken\":{\"idToken\":\"%s\",\"type\":\"ISO14443\"}", token);
}

void
message2_authorize(struct message_text *t, const char *token)
{
    begin(t);
    put(t, "{");
    put_token(t, token);
    put(t, "}");
}

static void
put_samples(struct message_text *t, uint32_t meter, uint32_t power, bool both,
    const char *context, const char *now)
{
    put(t,
        "\"meterValue\":[{\"timestamp\":\"%s\",\"sampledValue\":[{\"value\":"
        "%" PRIu32 ",\"context\":\"%s\",\"measurand\":"
        "\"Energy.Active.Import.Register\",\"unitOfMeasure\":{\"unit\":"
        "\"Wh\"}}",
        now, meter, context);
    if (both)
        put(t,
            ",{\"value\":%" PRIu32 ".0,\"context\":\"%s\",\"measurand\":"
            "\"Power.Active.Import\",\"unitOfMeasure\":{\"unit\":\"W\"}}",
            power, context);
    put(t, "]}]");
}

void
message2_tx(struct message_text *t, const struct message2_tx *tx)
{
    static const char *const kinds[] = {"Started", "Updated", "Ended"};

    begin(t);
    put(t,
        "{\"eventType\":\"%s\",\"timestamp\":\"%s\",\"triggerReason\":\"%s\","
        "\"seqNo\":%" PRIu32 ",\"transactionInfo\":{\"transactionId\":\"%s\"",
        kinds[tx->kind - MESSAGE_TX_STARTED], tx->now, tx->trigger, tx->seq,
        tx->id);
    put_text(t, "chargingState", tx->state);
    put_text(t, "stoppedReason", tx->reason);
    if (tx->remote >= 0)
        put(t, ",\"remoteStartId\":%" PRId64, tx->remote);
    put(t, "}");
    if (tx->offline)
        put(t, ",\"offline\":true");
    if (tx->plugged)
        put(t, ",\"evse\":{\"id\":1,\"connectorId\":1}");
    if (tx->token != NULL) {
        put(t, ",");
        put_token(t, tx->token);
    }
    put(t, ",");
    put_samples(t, tx->meter, tx->power, true, tx->context, tx->now);
    put(t, "}");
}

void
message2_meter(struct message_text *t, uint32_t meter, const char *context,
    const char *now)
{
    begin(t);
    put(t, "{\"evseId\":1,");
    put_samples(t, meter, 0, false, context, now);
    put(t, "}");
}

/* --- variables ----------------------------------------------------------- */

const struct message2_variable message2_variables[] = {
    {"OCPPCommCtrlr", "HeartbeatInterval", false, false, NULL},
    {"SampledDataCtrlr", "TxUpdatedInterval", false, false, NULL},
    {"SecurityCtrlr", "BasicAuthPassword", false, true, NULL},
    {"SecurityCtrlr", "SecurityProfile", true, false, "1"},
    {"ChargingStation", "Model", true, false, "ocppsim"},
    {"ChargingStation", "VendorName", true, false, "ocppd"},
    {"ChargingStation", "AvailabilityState", true, false, NULL},
    {"EVSE", "SupplyPhases", true, false, "3"},
    {"EVSE", "Power", true, false, "22000"},
    {"Connector", "ConnectorType", true, false, "cType2"},
};
const unsigned message2_variable_count =
    sizeof message2_variables / sizeof message2_variables[0];

bool
message2_report(struct message_text *t, int32_t request, unsigned part,
    const char *const *values, const char *now)
{
    unsigned from = part * MESSAGE2_REPORT_SIZE;
    unsigned to = from + MESSAGE2_REPORT_SIZE;
    bool     more = to < message2_variable_count;

    if (!more)
        to = message2_variable_count;
    begin(t);
    put(t,
        "{\"requestId\":%" PRId32 ",\"generatedAt\":\"%s\",\"seqNo\":%u,"
        "\"tbc\":%s,\"reportData\":[",
        request, now, part, more ? "true" : "false");
    for (unsigned i = from; i < to; i++) {
        const struct message2_variable *v = &message2_variables[i];
        put(t,
            "%s{\"component\":{\"name\":\"%s\"},\"variable\":{\"name\":\"%s\"},"
            "\"variableAttribute\":[{",
            i > from ? "," : "", v->component, v->variable);
        if (!v->writeonly)
            put(t, "\"value\":\"%s\",", values[i]);
        put(t, "\"mutability\":\"%s\"}]}",
            v->readonly        ? "ReadOnly"
                : v->writeonly ? "WriteOnly"
                               : "ReadWrite");
    }
    put(t, "]}");
    return more;
}
