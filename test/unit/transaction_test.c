/* transaction_test: the object `tx` of events, made from messages of all
 * versions. */
#include "ocpp/transaction.h"
#include "unit.h"

static struct json_token tokens[2000];
static struct json       tape = JSON_INIT(tokens, 2000);

#define EVENT_2X(rest)                                                         \
    "{\"eventType\":\"Started\",\"timestamp\":\"2026-01-31T12:34:56Z\","       \
    "\"triggerReason\":\"Authorized\",\"seqNo\":3,\"transactionInfo\":"        \
    "{\"transactionId\":\"t-1\"" rest "}"
#define COMMON_2X "\"id\":\"t-1\",\"seq\":3"
#define SAMPLES(samples)                                                       \
    "{\"connectorId\":1,\"meterValue\":[{\"timestamp\":\"x\","                 \
    "\"sampledValue\":[" samples "]}]}"

static const struct {
    enum event_kind kind;
    const char     *payload, *answer, *tx;
} rows[] = {
    /* 1.6 */
    {EVENT_tx_started,
        "{\"connectorId\":2,\"idTag\":\"A\\u00fc\",\"meterStart\":1500,"
        "\"timestamp\":\"x\",\"transactionId\":99}",
        "{\"transactionId\":7,\"idTagInfo\":{\"status\":\"Accepted\"}}",
        "{\"id\":\"7\",\"connector\":2,\"token\":\"A\\u00fc\","
        "\"meterWh\":1500}"},
    {EVENT_tx_stopped,
        "{\"transactionId\":-3,\"meterStop\":\"2000\",\"reason\":\"Remote\"}",
        "{}", "{\"id\":\"-3\",\"meterWh\":2000,\"reason\":\"Remote\"}"},
    {EVENT_tx_stopped, "{\"transactionId\":null,\"meterStop\":{}}", "{}",
        "{\"reason\":\"Local\"}"},
    {EVENT_tx_stopped, "{\"transactionId\":007,\"meterStop\":0}", "{}",
        "{\"id\":\"7\",\"meterWh\":0,\"reason\":\"Local\"}"},
    {EVENT_meter_values,
        SAMPLES(
            "{\"value\":\"1.5\",\"unit\":\"kWh\"},{\"value\":\"9\","
            "\"measurand\":\"Voltage\"},{\"value\":\"8\",\"phase\":\"L1\"}"),
        "{}", "{\"connector\":1,\"meterWh\":1500}"},
    {EVENT_meter_values, SAMPLES("{\"value\":\"10\"},{\"value\":\"12.25\"}"),
        "{}", "{\"connector\":1,\"meterWh\":12.25}"},
    {EVENT_meter_values, SAMPLES("{\"value\":\" -0.0504 \"}"), "{}",
        "{\"connector\":1,\"meterWh\":-0.05}"},
    {EVENT_meter_values,
        SAMPLES("{\"value\":\"\\u0020\\u0031\\u0032.\\u00325 \"}"), "{}",
        "{\"connector\":1,\"meterWh\":12.25}"},
    {EVENT_tx_stopped, "{\"meterStop\":\"\\u0031e\\u0032\"}", "{}",
        "{\"meterWh\":100,\"reason\":\"Local\"}"},
    {EVENT_meter_values, SAMPLES("{\"value\":\"-0.0004\"}"), "{}",
        "{\"connector\":1,\"meterWh\":0}"},
    {EVENT_meter_values, SAMPLES("{\"value\":\"999999999999999\"}"), "{}",
        "{\"connector\":1,\"meterWh\":999999999999999}"},
    {EVENT_meter_values, SAMPLES("{\"value\":\"1e15\"}"), "{}",
        "{\"connector\":1}"},
    {EVENT_tx_stopped, "{\"meterStop\":null,\"reason\":null}", "{}",
        "{\"reason\":\"Local\"}"},
    {EVENT_meter_values, SAMPLES("{\"value\":\"a\"},null,7,{}"), "{}",
        "{\"connector\":1}"},
    /* 2.x */
    {EVENT_tx_started, EVENT_2X("}"), "{}",
        "{" COMMON_2X ",\"trigger\":\"Authorized\"}"},
    {EVENT_tx_started,
        EVENT_2X(",\"chargingState\":\"Charging\",\"remoteStartId\":12},"
                 "\"evse\":{\"id\":2,\"connectorId\":1},\"idToken\":{"
                 "\"idToken\":\"T\",\"type\":\"ISO14443\"},\"offline\":true"),
        "{}",
        "{" COMMON_2X ",\"evse\":2,\"connector\":1,\"token\":\"T\","
        "\"tokenType\":\"ISO14443\",\"trigger\":\"Authorized\","
        "\"state\":\"Charging\",\"offline\":true,\"remoteStartId\":12}"},
    {EVENT_tx_stopped, EVENT_2X(",\"stoppedReason\":\"EVDisconnected\"}"), "{}",
        "{" COMMON_2X
        ",\"reason\":\"EVDisconnected\",\"trigger\":\"Authorized\"}"},
    {EVENT_tx_stopped, EVENT_2X("}"), "{}",
        "{" COMMON_2X ",\"reason\":\"Local\",\"trigger\":\"Authorized\"}"},
    {EVENT_tx_updated,
        EVENT_2X("},\"meterValue\":[{\"timestamp\":\"x\",\"sampledValue\":[{"
                 "\"value\":1.25,\"unitOfMeasure\":{\"unit\":\"Wh\","
                 "\"multiplier\":3}},{\"value\":7,\"measurand\":\"Power."
                 "Active.Import\"}]}]"),
        "{}", "{" COMMON_2X ",\"meterWh\":1250,\"trigger\":\"Authorized\"}"},
    {EVENT_meter_values,
        "{\"evseId\":3,\"meterValue\":[{\"sampledValue\":[{\"value\":2,"
        "\"unitOfMeasure\":{\"unit\":\"kWh\",\"multiplier\":-1}}]}]}",
        "{}", "{\"evse\":3,\"meterWh\":200}"},
    {EVENT_meter_values,
        "{\"evseId\":3,\"meterValue\":[{\"sampledValue\":[{\"value\":2,"
        "\"unitOfMeasure\":{\"multiplier\":400}}]}]}",
        "{}", "{\"evse\":3}"},
    {EVENT_meter_values,
        "{\"evseId\":3,\"meterValue\":[{\"sampledValue\":[{\"value\":2,"
        "\"unitOfMeasure\":{\"multiplier\":2.0}}]}]}",
        "{}", "{\"evse\":3,\"meterWh\":200}"},
    /* A value with an unknown unit is not counted as Wh. */
    {EVENT_meter_values,
        "{\"evseId\":3,\"meterValue\":[{\"sampledValue\":[{\"value\":2,"
        "\"unitOfMeasure\":{\"multiplier\":1.5}}]}]}",
        "{}", "{\"evse\":3}"},
    {EVENT_meter_values,
        "{\"evseId\":3,\"meterValue\":[{\"sampledValue\":[{\"value\":2,"
        "\"unitOfMeasure\":{\"multiplier\":\"milli\"}}]}]}",
        "{}", "{\"evse\":3}"},
    {EVENT_meter_values,
        "{\"evseId\":3,\"meterValue\":[{\"sampledValue\":[{\"value\":2,"
        "\"unitOfMeasure\":\"kWh\"}]}]}",
        "{}", "{\"evse\":3}"},
};

/* A start that is sent again is the same one, however its values are written;
 * and if any part of it differs, it is another one. */
#define START(connector, tag, time, meter)                                     \
    "{\"connectorId\":" connector ",\"idTag\":" tag ",\"timestamp\":" time     \
    ",\"meterStart\":" meter "}"
#define EVENT(type, seq, id)                                                   \
    "{\"eventType\":\"" type "\",\"timestamp\":\"t\",\"seqNo\":" seq           \
    ",\"transactionInfo\":{\"transactionId\":" id "}}"

static const struct {
    enum registry_start_kind kind;
    const char              *one, *two;
    bool                     same;
} pairs[] = {
    {REGISTRY_START, START("1", "\"A\"", "\"t\"", "5"),
        START("1", "\"A\"", "\"t\"", "5"), true},
    {REGISTRY_START, START("1", "\"A\"", "\"t\"", "5"),
        START("2", "\"A\"", "\"t\"", "5"), false},
    {REGISTRY_START, START("1", "\"A\"", "\"t\"", "5"),
        START("1", "\"B\"", "\"t\"", "5"), false},
    {REGISTRY_START, START("1", "\"A\"", "\"t\"", "5"),
        START("1", "\"A\"", "\"u\"", "5"), false},
    {REGISTRY_START, START("1", "\"A\"", "\"t\"", "5"),
        START("1", "\"A\"", "\"t\"", "6"), false},
    {REGISTRY_START, START("1", "\"A\"", "\"t\"", "5"),
        "{ \"meterStart\":5,\"timestamp\":\"t\",\"idTag\":\"A\","
        "\"connectorId\":1,\"reservationId\":7}",
        true},
    /* escapes, and numbers that are not JSON */
    {REGISTRY_START, START("1", "\"A/\"", "\"t\"", "5"),
        START("1", "\"\\u0041\\/\"", "\"t\"", "5"), true},
    {REGISTRY_START, START("1", "\"A\"", "\"t\"", "5"),
        START("1", "\"\\u0042\"", "\"t\"", "5"), false},
    {REGISTRY_START, START("1", "\"A\"", "\"t\"", "5"),
        START("01", "\"A\"", "\"t\"", "+005"), true},
    {REGISTRY_START, START("01", "\"A\"", "\"t\"", "005"),
        START("01", "\"A\"", "\"t\"", "006"), false},
    {REGISTRY_START, START("01", "\"A\"", "\"t\"", "5"),
        START("02", "\"A\"", "\"t\"", "5"), false},
    {REGISTRY_START, EVENT("Started", "0", "\"T\""),
        EVENT("Started", "0", "\"T\""), true},
    {REGISTRY_START, EVENT("Started", "0", "\"T\""),
        EVENT("Updated", "0", "\"T\""), false},
    {REGISTRY_START, EVENT("Started", "0", "\"T\""),
        EVENT("Started", "1", "\"T\""), false},
    {REGISTRY_START, EVENT("Started", "0", "\"T\""),
        EVENT("Started", "0", "\"U\""), false},
    {REGISTRY_START_STOP, "{\"transactionId\":1,\"meterStop\":5}",
        "{\"transactionId\":1,\"meterStop\":5}", true},
    {REGISTRY_START_STOP, "{\"transactionId\":1,\"meterStop\":5}",
        "{\"transactionId\":1,\"meterStop\":6}", false},
};

/* The payload is not the root of the tape, because 0 means a missing value. */
static void
fingerprint(enum registry_start_kind kind, const char *payload, uint64_t out[2])
{
    char text[512];
    int  n = snprintf(text, sizeof text, "[%s]", payload);

    CHECK(json_scan(&tape, text, (size_t)n));
    transaction_fingerprint(kind, &tape, 1, out);
}

static void
fingerprints(void)
{
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        uint64_t one[2], two[2];

        UNIT_CASE(pairs[i].two);
        fingerprint(pairs[i].kind, pairs[i].one, one);
        fingerprint(pairs[i].kind, pairs[i].two, two);
        CHECK_EQ(one[0] == two[0], pairs[i].same);
        CHECK_EQ(one[1] == two[1], pairs[i].same);
        CHECK(one[0] != one[1]);
    }
    UNIT_CASE("");
}

int
main(void)
{
    struct buf out = BUF_INIT(65536);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct writer w = WRITER_INIT(&out);
        UNIT_CASE(rows[i].payload);
        CHECK(json_scan(&tape, rows[i].payload, strlen(rows[i].payload)));
        buf_clear(&out);
        writer_open(&w, NULL, '{');
        transaction_put(&w, rows[i].kind, &tape, 0, rows[i].answer,
            strlen(rows[i].answer), NULL);
        writer_close(&w);
        CHECK_EQ(out.len, strlen(rows[i].tx) + 7);
        if (out.len > 7)
            CHECK_STRN(out.p + 6, out.len - 7, rows[i].tx);
    }
    fingerprints();
    UNIT_CASE("remote starts");
    struct transaction_remote one, two;
    const char               *text = EVENT_2X(",\"remoteStartId\":12}");
    CHECK(json_scan(&tape, text, strlen(text)));
    one = transaction_remote_of_message(EVENT_tx_updated, &tape, 0);
    CHECK(one.key != 0 && !one.by_token);
    CHECK(transaction_id_hash(EVENT_tx_updated, &tape, 0, NULL, 0) != 0);
    text = "{\"remoteStartId\":12,\"evseId\":1}";
    CHECK(json_scan(&tape, text, strlen(text)));
    two = transaction_remote_of_command(&tape, 0);
    CHECK(one.key == two.key && !two.by_token);
    text = "{\"idTag\":\"aBc\",\"connectorId\":2}";
    CHECK(json_scan(&tape, text, strlen(text)));
    one = transaction_remote_of_command(&tape, 0);
    CHECK(one.key != 0 && one.by_token && one.connector == 2);
    text = "{\"connectorId\":1,\"idTag\":\"ABC\"}";
    CHECK(json_scan(&tape, text, strlen(text)));
    two = transaction_remote_of_message(EVENT_tx_started, &tape, 0);
    CHECK(one.key == two.key && two.by_token && two.connector == 1);
    CHECK(transaction_remote_of_message(EVENT_meter_values, &tape, 0).key == 0);
    CHECK(transaction_is_remote("RemoteStartTransaction"));
    CHECK(!transaction_is_remote("RemoteStopTransaction"));
    CHECK(transaction_is_kind(EVENT_tx_updated));
    CHECK(!transaction_is_kind(EVENT_heartbeat));
    buf_free(&out);
    return unit_done();
}
