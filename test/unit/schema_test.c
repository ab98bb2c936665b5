/* schema_test: payloads are checked, strictly and leniently. */
#include <stdlib.h>

#include "ocpp/schema.h"
#include "unit.h"

static struct json_token tokens[5000];
static struct json       tape = JSON_INIT(tokens, 5000);

#define BIT(word) DEVIATION_BIT(word)
#define NONE OCPPJ_ERRORS
#define MISSING OCPPJ_PROTOCOL_ERROR
#define FORMATION OCPPJ_FORMATION_VIOLATION
#define TYPE OCPPJ_TYPE_CONSTRAINT
#define PROPERTY OCPPJ_PROPERTY_CONSTRAINT
#define OCCURS OCPPJ_OCCURRENCE_CONSTRAINT

#define C20 "12345678901234567890"
#define T "\"2026-01-31T12:34:56Z\""

/* Messages in which one value is varied. */
#define STATUS(more)                                                             \
    "{\"connectorId\":1,\"status\":\"Available\",\"errorCode\":\"NoError\"" more \
    "}"
#define START(more)                                                            \
    "{\"connectorId\":1,\"idTag\":\"A\",\"timestamp\":" T more "}"
#define SAMPLE(sample)                                                         \
    "{\"connectorId\":1,\"meterValue\":[{\"timestamp\":" T                     \
    ",\"sampledValue\":[" sample "]}]}"
#define LIMIT(n)                                                               \
    "{\"status\":\"Accepted\",\"chargingSchedule\":{\"chargingRateUnit\":"     \
    "\"A\",\"chargingSchedulePeriod\":[{\"startPeriod\":0,\"limit\":" n "}]}}"
#define AT(time) STATUS(",\"timestamp\":" time)

#define SV "meterValue[0].sampledValue[0]"
#define LP "chargingSchedule.chargingSchedulePeriod[0].limit"

/* A payload that strict validation refuses, and the result of lenient
 * validation: deviations, or a refusal for the same reason. */
static const struct {
    const char      *message; /* with the suffix ".conf": a response */
    const char      *payload;
    enum ocppj_error code;       /* NONE: valid for both */
    uint64_t         deviations; /* 0: lenient validation refuses it too */
    const char      *path;
} rows[] = {
    /* valid payloads */
    {"Heartbeat", "{}", NONE, 0, ""},
    {"Heartbeat", "null", NONE, 0, ""},
    {"StatusNotification", STATUS(""), NONE, 0, ""},
    {"StartTransaction", START(",\"meterStart\":0"), NONE, 0, ""},
    {"StartTransaction", START(",\"meterStart\":-0"), NONE, 0, ""},
    {"StartTransaction", START(",\"meterStart\":9007199254740993"), NONE, 0,
        ""},
    {"StopTransaction",
        "{\"transactionId\":-1,\"meterStop\":0,"
        "\"timestamp\":" T ",\"transactionData\":[]}",
        NONE, 0, ""},
    {"StopTransaction",
        "{\"transactionId\":1,\"meterStop\":0,"
        "\"timestamp\":" T ",\"transactionData\":[{\"timestamp\":" T
        ",\"sampledValue\":[]}]}",
        NONE, 0, ""},
    {"MeterValues",
        SAMPLE("{\"value\":\"1\",\"unit\":\"Celsius\"},"
               "{\"value\":\"1\",\"unit\":\"Celcius\"},"
               "{\"value\":\"1\",\"unit\":\"Hertz\"}"),
        NONE, 0, ""},
    {"MeterValues", SAMPLE("{\"v\\u0061lue\":\"1\",\"unit\":\"\\u0057h\"}"),
        NONE, 0, ""},
    {"Authorize", "{\"idTag\":\"" C20 "\"}", NONE, 0, ""},
    {"Authorize", "{\"idTag\":\"\"}", NONE, 0, ""},
    {"Authorize",
        "{\"idTag\":\"\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
        "\u00e9\\ud83d\\ude00\"}",
        NONE, 0, ""},
    {"UpdateFirmware",
        "{\"location\":\"ftp:\\/\\/u:p@host/a%20b\","
        "\"retrieveDate\":" T "}",
        NONE, 0, ""},
    {"GetConfiguration.conf",
        "{\"configurationKey\":[{\"key\":\"k\","
        "\"readonly\":false}]}",
        NONE, 0, ""},
    {"DataTransfer", "{\"vendorId\":\"v\",\"data\":\"{\\\"a\\\":1}\"}", NONE, 0,
        ""},
    {"Reset.conf", "{\"status\":\"Accepted\"}", NONE, 0, ""},

    /* a member is missing */
    {"Authorize", "{}", MISSING, 0, "idTag"},
    {"Authorize", "null", MISSING, 0, "idTag"},
    {"StartTransaction", START(""), MISSING, 0, "meterStart"},
    {"MeterValues", SAMPLE("{\"unit\":\"Wh\"}"), MISSING, 0, SV ".value"},
    {"Reset.conf", "{}", MISSING, 0, "status"},
    {"StatusNotification", "{\"connectorId\":1,\"status\":\"Available\"}",
        MISSING, BIT(missing_field), "errorCode"},
    {"BootNotification", "{\"chargePointVendor\":\"v\"}", MISSING,
        BIT(missing_field), "chargePointModel"},
    {"MeterValues",
        "{\"connectorId\":1,\"meterValue\":[{\"sampledValue\":"
        "[{\"value\":\"1\"}]}]}",
        MISSING, BIT(missing_field), "meterValue[0].timestamp"},

    /* there is an additional member */
    {"Heartbeat", "{\"x\":1}", FORMATION, BIT(extra_field), "x"},
    {"StatusNotification", STATUS(",\"vendor\":{\"deep\":[1]}"), FORMATION,
        BIT(extra_field), "vendor"},
    {"MeterValues", SAMPLE("{\"value\":\"1\",\"Unit\":\"Wh\"}"), FORMATION,
        BIT(extra_field), SV ".Unit"},

    /* the payload is not an object */
    {"Heartbeat", "[]", FORMATION, 0, ""},
    {"Heartbeat", "\"\"", FORMATION, 0, ""},
    {"Heartbeat", "true", FORMATION, 0, ""},

    /* strings */
    {"Authorize", "{\"idTag\":\"" C20 "1\"}", PROPERTY, BIT(long_string),
        "idTag"},
    {"Authorize", "{\"idTag\":12345}", TYPE, BIT(number_for_string), "idTag"},
    {"Authorize", "{\"idTag\":true}", TYPE, BIT(wrong_scalar), "idTag"},
    {"Authorize", "{\"idTag\":null}", TYPE, 0, "idTag"},
    {"Authorize", "{\"idTag\":{}}", TYPE, 0, "idTag"},
    {"Authorize", "{\"idTag\":[\"A\"]}", TYPE, 0, "idTag"},
    {"StatusNotification", STATUS(",\"info\":null"), TYPE, BIT(null_field),
        "info"},
    {"StatusNotification", STATUS(",\"info\":{}"), TYPE, 0, "info"},
    {"MeterValues", SAMPLE("{\"value\":21.5}"), TYPE, BIT(number_for_string),
        SV ".value"},
    {"DataTransfer", "{\"vendorId\":\"v\",\"data\":{\"a\":1}}", TYPE,
        BIT(value_for_text), "data"},
    {"DataTransfer", "{\"vendorId\":\"v\",\"data\":[1]}", TYPE,
        BIT(value_for_text), "data"},
    {"DataTransfer", "{\"vendorId\":\"v\",\"data\":7}", TYPE,
        BIT(number_for_string), "data"},

    /* enumerations */
    {"MeterValues", SAMPLE("{\"value\":\"1\",\"unit\":\"wh\"}"), PROPERTY,
        BIT(unknown_enum), SV ".unit"},
    {"MeterValues", SAMPLE("{\"value\":\"1\",\"phase\":\"\"}"), PROPERTY,
        BIT(empty_string), SV ".phase"},
    {"MeterValues", SAMPLE("{\"value\":\"1\",\"phase\":1}"), TYPE,
        BIT(number_for_string), SV ".phase"},
    {"StatusNotification",
        "{\"connectorId\":1,\"status\":\"Occupied\","
        "\"errorCode\":\"NoError\"}",
        PROPERTY, BIT(unknown_enum), "status"},
    {"StatusNotification",
        "{\"connectorId\":1,\"status\":3,"
        "\"errorCode\":\"NoError\"}",
        TYPE, 0, "status"},

    /* integers */
    {"StartTransaction", START(",\"meterStart\":10.0"), TYPE,
        BIT(decimal_integer), "meterStart"},
    {"StartTransaction", START(",\"meterStart\":1e3"), TYPE,
        BIT(decimal_integer), "meterStart"},
    {"StartTransaction", START(",\"meterStart\":\"10\""), TYPE,
        BIT(string_for_number), "meterStart"},
    {"StartTransaction", START(",\"meterStart\":\"-10.5 \""), TYPE,
        BIT(string_for_number), "meterStart"},
    {"StartTransaction", START(",\"meterStart\":\"\\u0031\""), TYPE,
        BIT(string_for_number), "meterStart"},
    {"StartTransaction",
        START(",\"meterStart\":\"\\u0020\\u002D1\\u002e5\\u00452 \""), TYPE,
        BIT(string_for_number), "meterStart"},
    {"StartTransaction", START(",\"meterStart\":\"1\\u0061\""), TYPE, 0,
        "meterStart"},
    {"StartTransaction", START(",\"meterStart\":\"1\\n\""), TYPE, 0,
        "meterStart"},
    {"StartTransaction", START(",\"meterStart\":\"10 Wh\""), TYPE, 0,
        "meterStart"},
    {"StartTransaction", START(",\"meterStart\":\"\""), TYPE, 0, "meterStart"},
    {"StartTransaction", START(",\"meterStart\":true"), TYPE, 0, "meterStart"},
    {"StartTransaction", START(",\"meterStart\":null"), TYPE, 0, "meterStart"},
    {"StartTransaction", START(",\"meterStart\":1,\"reservationId\":\"\""),
        TYPE, BIT(empty_string), "reservationId"},
    {"StartTransaction", START(",\"meterStart\":1,\"reservationId\":\"x\""),
        TYPE, BIT(string_for_number), "reservationId"},
    {"StartTransaction", START(",\"meterStart\":1,\"reservationId\":null"),
        TYPE, BIT(null_field), "reservationId"},

    /* booleans */
    {"GetConfiguration.conf",
        "{\"configurationKey\":[{\"key\":\"k\","
        "\"readonly\":\"false\"}]}",
        TYPE, BIT(wrong_scalar), "configurationKey[0].readonly"},
    {"GetConfiguration.conf",
        "{\"configurationKey\":[{\"key\":\"k\","
        "\"readonly\":0}]}",
        TYPE, BIT(wrong_scalar), "configurationKey[0].readonly"},

    /* multiples of a tenth, which a double cannot represent */
    {"GetCompositeSchedule.conf", LIMIT("16"), NONE, 0, ""},
    {"GetCompositeSchedule.conf", LIMIT("0.3"), NONE, 0, ""},
    {"GetCompositeSchedule.conf", LIMIT("16.10"), NONE, 0, ""},
    {"GetCompositeSchedule.conf", LIMIT("-2.3"), NONE, 0, ""},
    {"GetCompositeSchedule.conf", LIMIT("0.000"), NONE, 0, ""},
    {"GetCompositeSchedule.conf", LIMIT("105e-1"), NONE, 0, ""},
    {"GetCompositeSchedule.conf", LIMIT("1000e-3"), NONE, 0, ""},
    {"GetCompositeSchedule.conf", LIMIT("1.05e1"), NONE, 0, ""},
    {"GetCompositeSchedule.conf", LIMIT("1e400"), NONE, 0, ""},
    {"GetCompositeSchedule.conf", LIMIT("16.15"), PROPERTY, BIT(not_multiple),
        LP},
    {"GetCompositeSchedule.conf", LIMIT("1e-2"), PROPERTY, BIT(not_multiple),
        LP},
    {"GetCompositeSchedule.conf", LIMIT("1050e-3"), PROPERTY, BIT(not_multiple),
        LP},
    {"GetCompositeSchedule.conf", LIMIT("1e-99999999999999999999"), PROPERTY,
        BIT(not_multiple), LP},
    {"GetCompositeSchedule.conf", LIMIT("\"16\""), TYPE, BIT(string_for_number),
        LP},

    /* times */
    {"StatusNotification", AT("\"2024-02-29T23:59:60.123456789+05:30\""), NONE,
        0, ""},
    {"StatusNotification", AT("\"2024-02-29t00:00:00z\""), NONE, 0, ""},
    {"StatusNotification", AT("\"2024-02-29T00:00:00\""), PROPERTY,
        BIT(no_zone), "timestamp"},
    {"StatusNotification", AT("\"2024-02-29T00:00:00.123\""), PROPERTY,
        BIT(no_zone), "timestamp"},
    {"StatusNotification", AT("\"2024-02-29 00:00:00Z\""), PROPERTY,
        BIT(bad_datetime), "timestamp"},
    {"StatusNotification", AT("\"2023-02-29T00:00:00Z\""), PROPERTY,
        BIT(bad_datetime), "timestamp"},
    {"StatusNotification", AT("\"2024-02-29T00:00:00+0100\""), PROPERTY,
        BIT(bad_datetime), "timestamp"},
    {"StatusNotification", AT("\"2024-02-29T00:00:00.Z\""), PROPERTY,
        BIT(bad_datetime), "timestamp"},
    {"StatusNotification", AT("\"\""), PROPERTY, BIT(empty_string),
        "timestamp"},
    {"StatusNotification", AT("1706700000"), TYPE, BIT(number_for_string),
        "timestamp"},

    /* addresses */
    {"UpdateFirmware", "{\"location\":\"host/path\",\"retrieveDate\":" T "}",
        PROPERTY, BIT(bad_uri), "location"},
    {"UpdateFirmware", "{\"location\":\"ftp://h/a b\",\"retrieveDate\":" T "}",
        PROPERTY, BIT(bad_uri), "location"},
    {"UpdateFirmware", "{\"location\":\"ftp://h/%4\",\"retrieveDate\":" T "}",
        PROPERTY, BIT(bad_uri), "location"},

    /* arrays */
    {"MeterValues", "{\"connectorId\":1,\"meterValue\":[]}", OCCURS,
        BIT(empty_array), "meterValue"},
    {"MeterValues", SAMPLE(""), OCCURS, BIT(empty_array),
        "meterValue[0].sampledValue"},
    {"MeterValues",
        "{\"connectorId\":1,\"meterValue\":{\"timestamp\":" T
        ",\"sampledValue\":[{\"value\":\"1\"}]}}",
        TYPE, BIT(object_for_array), "meterValue"},
    {"MeterValues", "{\"connectorId\":1,\"meterValue\":7}", TYPE, 0,
        "meterValue"},
    {"MeterValues", "{\"connectorId\":1,\"meterValue\":\"\"}", TYPE, 0,
        "meterValue"},
    {"MeterValues", "{\"connectorId\":1,\"meterValue\":null}", TYPE, 0,
        "meterValue"},
    {"MeterValues", "{\"connectorId\":1,\"meterValue\":[null]}", TYPE, 0,
        "meterValue[0]"},
    {"MeterValues", SAMPLE("{\"value\":\"1\"},{\"value\":\"2\"},[]"), TYPE, 0,
        "meterValue[0].sampledValue[2]"},
    {"GetConfiguration.conf", "{\"unknownKey\":\"a\"}", TYPE,
        BIT(object_for_array), "unknownKey"},
    {"GetConfiguration.conf", "{\"unknownKey\":\"\"}", TYPE, BIT(empty_string),
        "unknownKey"},
    {"GetConfiguration.conf", "{\"unknownKey\":null}", TYPE, BIT(null_field),
        "unknownKey"},

    /* objects */
    {"RemoteStartTransaction", "{\"idTag\":\"A\",\"chargingProfile\":null}",
        TYPE, BIT(null_field), "chargingProfile"},
    {"RemoteStartTransaction", "{\"idTag\":\"A\",\"chargingProfile\":\"\"}",
        TYPE, BIT(empty_string), "chargingProfile"},
    {"RemoteStartTransaction", "{\"idTag\":\"A\",\"chargingProfile\":7}", TYPE,
        0, "chargingProfile"},
    {"Authorize.conf", "{\"idTagInfo\":[]}", TYPE, 0, "idTagInfo"},
};

static const struct schema_message *
find(const char *name, enum schema_part *part)
{
    size_t len = strlen(name);

    *part = SCHEMA_REQUEST;
    if (len > 5 && strcmp(name + len - 5, ".conf") == 0) {
        *part = SCHEMA_RESPONSE;
        len -= 5;
    }
    return schema_find(&schema_ocpp16, name, len);
}

static void
test_rows(void)
{
    struct schema_verdict v;
    enum schema_part      part;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        UNIT_CASE(rows[i].payload);
        const struct schema_message *m = find(rows[i].message, &part);
        CHECK(m != NULL);
        CHECK(json_scan(&tape, rows[i].payload, strlen(rows[i].payload)));
        CHECK_EQ(tape.deviations, 0);

        bool good = rows[i].code == NONE;
        CHECK_EQ(schema_check(m, part, &tape, 0, OCPPJ_STRICT, &v), good);
        CHECK_EQ(v.ok, good);
        CHECK_EQ(v.code, rows[i].code);
        CHECK_EQ(v.deviations, 0);
        CHECK_STR(v.path, rows[i].path);
        CHECK_EQ(v.text[0] == '\0', good);

        if (rows[i].deviations == 0 && !good && part == SCHEMA_REQUEST &&
            schema_is_transactional(m) && tape.tok[0].type == JSON_OBJECT) {
            CHECK(schema_check(m, part, &tape, 0, OCPPJ_LENIENT, &v));
            CHECK((v.deviations &
                      (BIT(missing_field) | BIT(null_field) |
                          BIT(wrong_type))) != 0);
            CHECK_STR(v.path, rows[i].path);
            continue;
        }
        good = good || rows[i].deviations != 0;
        CHECK_EQ(schema_check(m, part, &tape, 0, OCPPJ_LENIENT, &v), good);
        CHECK_EQ(v.code, good ? NONE : rows[i].code);
        CHECK_EQ(v.deviations, rows[i].deviations);
        CHECK_STR(v.path, rows[i].path);
        CHECK_EQ(v.text[0] == '\0', good);
    }
    UNIT_CASE("");
}

static const char *
text_of(const char *message, const char *payload)
{
    static struct schema_verdict v;
    enum schema_part             part;
    const struct schema_message *m = find(message, &part);

    UNIT_CASE(payload);
    CHECK(json_scan(&tape, payload, strlen(payload)));
    CHECK(!schema_check(m, part, &tape, 0, OCPPJ_STRICT, &v));
    return v.text;
}

/* The reasons that operators read. */
static void
test_texts(void)
{
    CHECK_STR(text_of("Authorize", "{}"),
        "idTag: missing, Authorize.req requires it");
    CHECK_STR(
        text_of("Heartbeat", "{\"x\":1}"), "x: no such field in Heartbeat.req");
    CHECK_STR(text_of("Heartbeat", "[1,2]"),
        "payload: found an array of 2, expected an object");
    CHECK_STR(text_of("Authorize", "{\"idTag\":\"" C20 "1\"}"),
        "idTag: found \"" C20 "1\", expected at most 20 characters, "
        "not 21");
    CHECK_STR(text_of("Reset", "{\"type\":\"soft\"}"),
        "type: found \"soft\", expected one of Hard, Soft");
    CHECK_STR(text_of("Authorize", "{\"idTag\":1.50}"),
        "idTag: found 1.50, expected a string");
    CHECK_STR(text_of("MeterValues", SAMPLE("")),
        "meterValue[0].sampledValue: found an array of 0, expected at "
        "least 1");
    CHECK_STR(text_of("GetCompositeSchedule.conf", LIMIT("0.25")),
        LP ": found 0.25, expected a multiple of 0.1");
    CHECK_STR(text_of("StatusNotification", AT("\"yesterday\"")),
        "timestamp: found \"yesterday\", expected a time like "
        "2026-01-31T12:34:56Z");
    /* Texts from outside are cut, and their control characters are escaped. */
    CHECK_STR(text_of("Heartbeat", "{\"\x01\u00e9 <b>\":1}"),
        "??\x20<b>: no such field in Heartbeat.req");
    UNIT_CASE("");
}

/* No buffer overflows, whatever the length of names and values. */
static void
test_bounds(void)
{
    struct schema_verdict        v;
    enum schema_part             part;
    char                         payload[3000];
    const struct schema_message *m = find("GetCompositeSchedule.conf", &part);

    for (int n = 1; n < 300; n++) {
        sprintf(payload,
            "{\"status\":\"Accepted\",\"chargingSchedule\":"
            "{\"chargingSchedulePeriod\":[{\"%0*d\":1}]}}",
            n, 0);
        CHECK(json_scan(&tape, payload, strlen(payload)));
        CHECK(!schema_check(m, part, &tape, 0, OCPPJ_STRICT, &v));
        CHECK(memchr(v.path, '\0', sizeof v.path) != NULL);
        CHECK(memchr(v.text, '\0', sizeof v.text) != NULL);
        CHECK(!schema_check(m, part, &tape, 0, OCPPJ_LENIENT, &v));
        sprintf(payload, "{\"status\":\"%0*d\"}", n, 0);
        CHECK(json_scan(&tape, payload, strlen(payload)));
        CHECK(!schema_check(m, part, &tape, 0, OCPPJ_STRICT, &v));
        CHECK(schema_check(m, part, &tape, 0, OCPPJ_LENIENT, &v));
    }
}

/* Several deviations are all reported; the path is that of the first one. */
static void
test_many_deviations(void)
{
    static const char payload[] =
        "{\"connectorId\":\"1\",\"vendor\":1,\"meterValue\":{\"timestamp\":"
        "\"2026-01-31T12:34:56\",\"sampledValue\":[{\"value\":1,"
        "\"unit\":\"WH\"}]}}";
    struct schema_verdict v;
    enum schema_part      part;

    CHECK(json_scan(&tape, payload, sizeof payload - 1));
    CHECK(schema_check(find("MeterValues", &part), SCHEMA_REQUEST, &tape, 0,
        OCPPJ_LENIENT, &v));
    CHECK_EQ(v.deviations,
        BIT(string_for_number) | BIT(extra_field) | BIT(object_for_array) |
            BIT(no_zone) | BIT(number_for_string) | BIT(unknown_enum));
    CHECK_STR(v.path, "connectorId");
}

static void
test_find(void)
{
    const struct schema_dialect *d = &schema_ocpp16;

    CHECK_STR(d->protocol, "ocpp1.6");
    CHECK_EQ(d->count, 39);
    for (uint32_t i = 0; i < d->count; i++) {
        const struct schema_message *m = &d->messages[i];
        UNIT_CASE(m->name);
        CHECK_EQ(m->name_len, strlen(m->name));
        CHECK(i == 0 || strcmp(m[-1].name, m->name) < 0);
        CHECK(schema_find(d, m->name, m->name_len) == m);
        CHECK(schema_find(d, m->name, m->name_len - 1u) == NULL);
        for (uint32_t k = 0; k < i; k++)
            CHECK(d->messages[k].action != m->action);
        CHECK(m->action < d->count);
    }
    UNIT_CASE("");
    CHECK(schema_find(d, "", 0) == NULL);
    CHECK(schema_find(d, "heartbeat", 9) == NULL);
    CHECK(schema_find(d, "Heartbeats", 10) == NULL);
    CHECK(schema_find(d, "AAAA", 4) == NULL);
    CHECK(schema_find(d, "zzzz", 4) == NULL);
    CHECK_EQ(schema_find(d, "Heartbeat", 9)->direction, SCHEMA_CP);
    CHECK_EQ(schema_find(d, "Reset", 5)->direction, SCHEMA_CS);
    CHECK_EQ(schema_find(d, "DataTransfer", 12)->direction, SCHEMA_BOTH);
    CHECK_STR(schema_find(d, "GetLog", 6)->profile, "Security");
}

int
main(void)
{
    test_rows();
    test_texts();
    test_bounds();
    test_many_deviations();
    test_find();
    return unit_done();
}
