/* message2: payloads of a charge point, OCPP 2.0.1 and 2.1. See message2.h. */
#include "message2.h"

#include <inttypes.h>

static void
put_text(struct message_text *t, const char *name, const char *value)
{
    if (value != NULL)
        message_put(t, ",\"%s\":\"%s\"", name, value);
}

void
message2_boot(struct message_text *t, const char *serial)
{
    message_begin(t);
    message_put(t,
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

    message_begin(t);
    if (!event) {
        message_put(t,
            "{\"timestamp\":\"%s\",\"connectorStatus\":\"%s\",\"evseId\":1,"
            "\"connectorId\":1}",
            now, words[status]);
        return;
    }
    message_put(t,
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
    message_put(
        t, "\"idToken\":{\"idToken\":\"%s\",\"type\":\"ISO14443\"}", token);
}

void
message2_authorize(struct message_text *t, const char *token)
{
    message_begin(t);
    message_put(t, "{");
    put_token(t, token);
    message_put(t, "}");
}

static void
put_samples(struct message_text *t, uint32_t meter, uint32_t power, bool both,
    const char *context, const char *now)
{
    message_put(t,
        "\"meterValue\":[{\"timestamp\":\"%s\",\"sampledValue\":[{\"value\":"
        "%" PRIu32 ",\"context\":\"%s\",\"measurand\":"
        "\"Energy.Active.Import.Register\",\"unitOfMeasure\":{\"unit\":"
        "\"Wh\"}}",
        now, meter, context);
    if (both)
        message_put(t,
            ",{\"value\":%" PRIu32 ".0,\"context\":\"%s\",\"measurand\":"
            "\"Power.Active.Import\",\"unitOfMeasure\":{\"unit\":\"W\"}}",
            power, context);
    message_put(t, "]}]");
}

void
message2_tx(struct message_text *t, const struct message2_tx *tx)
{
    static const char *const kinds[] = {"Started", "Updated", "Ended"};

    message_begin(t);
    message_put(t,
        "{\"eventType\":\"%s\",\"timestamp\":\"%s\",\"triggerReason\":\"%s\","
        "\"seqNo\":%" PRIu32 ",\"transactionInfo\":{\"transactionId\":\"%s\"",
        kinds[tx->kind - MESSAGE_TX_STARTED], tx->now, tx->trigger, tx->seq,
        tx->id);
    put_text(t, "chargingState", tx->state);
    put_text(t, "stoppedReason", tx->reason);
    if (tx->remote >= 0)
        message_put(t, ",\"remoteStartId\":%" PRId64, tx->remote);
    message_put(t, "}");
    if (tx->offline)
        message_put(t, ",\"offline\":true");
    if (tx->plugged)
        message_put(t, ",\"evse\":{\"id\":1,\"connectorId\":1}");
    if (tx->token != NULL) {
        message_put(t, ",");
        put_token(t, tx->token);
    }
    message_put(t, ",");
    put_samples(t, tx->meter, tx->power, true, tx->context, tx->now);
    message_put(t, "}");
}

void
message2_meter(struct message_text *t, uint32_t meter, const char *context,
    const char *now)
{
    message_begin(t);
    message_put(t, "{\"evseId\":1,");
    put_samples(t, meter, 0, false, context, now);
    message_put(t, "}");
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
    message_begin(t);
    message_put(t,
        "{\"requestId\":%" PRId32 ",\"generatedAt\":\"%s\",\"seqNo\":%u,"
        "\"tbc\":%s,\"reportData\":[",
        request, now, part, more ? "true" : "false");
    for (unsigned i = from; i < to; i++) {
        const struct message2_variable *v = &message2_variables[i];
        message_put(t,
            "%s{\"component\":{\"name\":\"%s\"},\"variable\":{\"name\":\"%s\"},"
            "\"variableAttribute\":[{",
            i > from ? "," : "", v->component, v->variable);
        if (!v->writeonly)
            message_put(t, "\"value\":\"%s\",", values[i]);
        message_put(t, "\"mutability\":\"%s\"}]}",
            v->readonly        ? "ReadOnly"
                : v->writeonly ? "WriteOnly"
                               : "ReadWrite");
    }
    message_put(t, "]}");
    return more;
}
