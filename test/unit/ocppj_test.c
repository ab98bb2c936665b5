/* ocppj_test: frames are parsed and built, as OCPP-J 1.6 section 4 describes
 * them, and as charge points write them. */
#include <stdlib.h>

#include "ocpp/ocppj.h"
#include "unit.h"

static struct json_token tokens[1000];
static struct json       tape = JSON_INIT(tokens, 1000);

#define BIT(word) DEVIATION_BIT(word)
#define UUID "0b9a9d6e-9a9b-4c7e-8d15-0fcd4b1f0a55"

/* The results of lenient and of strict validation. */
static const struct {
    const char        *frame;
    enum ocppj_verdict lenient, strict;
    int                type;
    const char        *id_raw;     /* NULL: there is no id */
    uint64_t           deviations; /* those that lenient validation finds */
} frames[] = {
    /* correct frames */
    {"[2,\"1\",\"Heartbeat\",{}]", OCPPJ_GOOD, OCPPJ_GOOD, 2, "\"1\"", 0},
    {" [ 2 , \"1\" , \"Heartbeat\" , { } ] ", OCPPJ_GOOD, OCPPJ_GOOD, 2,
        "\"1\"", 0},
    {"[2,\"" UUID "\",\"Heartbeat\",{}]", OCPPJ_GOOD, OCPPJ_GOOD, 2,
        "\"" UUID "\"", 0},
    {"[2,\"1\",\"Heartbeat\",null]", OCPPJ_GOOD, OCPPJ_GOOD, 2, "\"1\"", 0},
    {"[3,\"1\",{\"status\":\"Accepted\"}]", OCPPJ_GOOD, OCPPJ_GOOD, 3, "\"1\"",
        0},
    {"[3,\"1\",null]", OCPPJ_GOOD, OCPPJ_GOOD, 3, "\"1\"", 0},
    {"[4,\"1\",\"NotImplemented\",\"\",{}]", OCPPJ_GOOD, OCPPJ_GOOD, 4, "\"1\"",
        0},
    /* 36 characters, which are more bytes */
    {"[2,\"\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
     "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
     "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
     "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\",\"Heartbeat\",{}]",
        OCPPJ_GOOD, OCPPJ_GOOD, 2,
        "\"\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\"",
        0},

    /* errors of charge points whose meaning is clear */
    {"[2,12345,\"Heartbeat\",{}]", OCPPJ_GOOD, OCPPJ_MALFORMED, 2, "12345",
        BIT(number_id)},
    {"[2,0012,\"Heartbeat\",{}]", OCPPJ_GOOD, OCPPJ_MALFORMED, 2, "12",
        BIT(number_id) | BIT(leading_zero)},
    {"[\"2\",\"1\",\"Heartbeat\",{}]", OCPPJ_GOOD, OCPPJ_UNPARSABLE, 2, "\"1\"",
        BIT(odd_type)},
    {"[3.0,\"1\",{}]", OCPPJ_GOOD, OCPPJ_UNKNOWN_TYPE, 3, "\"1\"",
        BIT(odd_type)},
    {"[\" 3. \",\"1\",{}]", OCPPJ_GOOD, OCPPJ_UNPARSABLE, 3, "\"1\"",
        BIT(odd_type)},
    {"[3,1.50,{}]", OCPPJ_GOOD, OCPPJ_MALFORMED, 3, "1.50", BIT(number_id)},
    {"[4,\"1\",\"InternalError\",\"\"]", OCPPJ_GOOD, OCPPJ_GOOD, 4, "\"1\"",
        BIT(short_callerror)},
    {"[4,\"1\",\"InternalError\"]", OCPPJ_GOOD, OCPPJ_MALFORMED, 4, "\"1\"",
        BIT(short_callerror)},
    {"[4,\"1\",\"InternalError\",null,null]", OCPPJ_GOOD, OCPPJ_MALFORMED, 4,
        "\"1\"", BIT(odd_callerror)},
    {"[4,\"1\",7,\"\",{}]", OCPPJ_GOOD, OCPPJ_MALFORMED, 4, "\"1\"",
        BIT(odd_callerror)},
    {"[4,\"1\",\"InternalError\",\"\",{},1]", OCPPJ_GOOD, OCPPJ_MALFORMED, 4,
        "\"1\"", BIT(odd_callerror)},
    {"\xef\xbb\xbf[2,\"1\",\"Heartbeat\",{}]", OCPPJ_GOOD, OCPPJ_MALFORMED, 2,
        "\"1\"", BIT(bom)},
    {"[2,\"1\",\"Heartbeat\",{}]]", OCPPJ_GOOD, OCPPJ_MALFORMED, 2, "\"1\"",
        BIT(trailing_garbage)},
    {"[2,\"1\",\"Heartbeat\",{\"a\":1,\"a\":1}]", OCPPJ_GOOD, OCPPJ_MALFORMED,
        2, "\"1\"", BIT(duplicate_key)},

    /* an id, but wrong elements */
    {"[2,\"1\",\"Heartbeat\"]", OCPPJ_MALFORMED, OCPPJ_MALFORMED, 2, "\"1\"",
        0},
    {"[2,\"1\"]", OCPPJ_MALFORMED, OCPPJ_MALFORMED, 2, "\"1\"", 0},
    {"[2,\"1\",\"Heartbeat\",{},{}]", OCPPJ_MALFORMED, OCPPJ_MALFORMED, 2,
        "\"1\"", BIT(long_call)},
    {"[2,\"1\",7,{}]", OCPPJ_MALFORMED, OCPPJ_MALFORMED, 2, "\"1\"", 0},
    {"[2,\"1\",null,{}]", OCPPJ_MALFORMED, OCPPJ_MALFORMED, 2, "\"1\"", 0},
    {"[3,\"1\"]", OCPPJ_MALFORMED, OCPPJ_MALFORMED, 3, "\"1\"", 0},
    {"[3,\"1\",\"Heartbeat\",{}]", OCPPJ_GOOD, OCPPJ_MALFORMED, 3, "\"1\"",
        BIT(odd_callresult)},
    {"[3,\"1\",{},7]", OCPPJ_GOOD, OCPPJ_MALFORMED, 3, "\"1\"",
        BIT(odd_callresult)},
    {"[3,\"1\",\"Heartbeat\",{},7]", OCPPJ_MALFORMED, OCPPJ_MALFORMED, 3,
        "\"1\"", 0},
    {"[4,\"1\"]", OCPPJ_MALFORMED, OCPPJ_MALFORMED, 4, "\"1\"", 0},

    /* an id that is too long */
    {"[2,\"" UUID "7\",\"Heartbeat\",{}]", OCPPJ_LONG_ID, OCPPJ_LONG_ID, 2,
        "\"" UUID "7\"", BIT(long_id)},
    {"[2,\"" UUID "7\",\"Heartbeat\"]", OCPPJ_LONG_ID, OCPPJ_LONG_ID, 2,
        "\"" UUID "7\"", 0},
    {"[2,1234567890123456789012345678901234567,\"Heartbeat\",{}]",
        OCPPJ_LONG_ID, OCPPJ_LONG_ID, 2,
        "1234567890123456789012345678901234567", BIT(long_id)},
    {"[3,\"" UUID "7\",{}]", OCPPJ_LONG_ID, OCPPJ_LONG_ID, 3, "\"" UUID "7\"",
        0},

    /* no id */
    {"[2]", OCPPJ_NO_ID, OCPPJ_NO_ID, 2, NULL, 0},
    {"[2,null,\"Heartbeat\",{}]", OCPPJ_NO_ID, OCPPJ_NO_ID, 2, NULL, 0},
    {"[2,{\"id\":1},\"Heartbeat\",{}]", OCPPJ_NO_ID, OCPPJ_NO_ID, 2, NULL, 0},
    {"[4,true,\"InternalError\",\"\",{}]", OCPPJ_NO_ID, OCPPJ_NO_ID, 4, NULL,
        0},

    /* message types to ignore */
    {"[1,\"1\"]", OCPPJ_UNKNOWN_TYPE, OCPPJ_UNKNOWN_TYPE, 1, "\"1\"", 0},
    {"[5,\"1\",\"GenericError\",\"\",{}]", OCPPJ_UNKNOWN_TYPE,
        OCPPJ_UNKNOWN_TYPE, 5, "\"1\"", 0},
    {"[6,\"1\",\"NotifyEvent\",{}]", OCPPJ_UNKNOWN_TYPE, OCPPJ_UNKNOWN_TYPE, 6,
        "\"1\"", 0},
    {"[-2,\"1\"]", OCPPJ_UNKNOWN_TYPE, OCPPJ_UNKNOWN_TYPE, -2, "\"1\"", 0},
    {"[99999999999,\"1\"]", OCPPJ_UNKNOWN_TYPE, OCPPJ_UNKNOWN_TYPE, 0, "\"1\"",
        0},
    {"[2.5,\"1\",\"Heartbeat\",{}]", OCPPJ_UNKNOWN_TYPE, OCPPJ_UNKNOWN_TYPE, 0,
        "\"1\"", 0},
    {"[99999999999999999999,\"1\"]", OCPPJ_UNKNOWN_TYPE, OCPPJ_UNKNOWN_TYPE, 0,
        "\"1\"", 0},

    /* texts that are not frames */
    {"", OCPPJ_UNPARSABLE, OCPPJ_UNPARSABLE, 0, NULL, 0},
    {"hello", OCPPJ_UNPARSABLE, OCPPJ_UNPARSABLE, 0, NULL, 0},
    {"{}", OCPPJ_UNPARSABLE, OCPPJ_UNPARSABLE, 0, NULL, 0},
    {"[]", OCPPJ_UNPARSABLE, OCPPJ_UNPARSABLE, 0, NULL, 0},
    {"[null]", OCPPJ_UNPARSABLE, OCPPJ_UNPARSABLE, 0, NULL, 0},
    {"[\"two\",\"1\",\"Heartbeat\",{}]", OCPPJ_UNPARSABLE, OCPPJ_UNPARSABLE, 0,
        "\"1\"", 0},
    {"[\"2x\",\"1\",\"Heartbeat\",{}]", OCPPJ_UNPARSABLE, OCPPJ_UNPARSABLE, 0,
        "\"1\"", 0},
    {"[{},{},\"Heartbeat\",{}]", OCPPJ_UNPARSABLE, OCPPJ_UNPARSABLE, 0, NULL,
        0},
    {"[2,\"1\",\"Heartbeat\",{}", OCPPJ_UNPARSABLE, OCPPJ_UNPARSABLE, 0, NULL,
        0},
    {"[2,\"1\",\"Heartbeat\",{},]", OCPPJ_UNPARSABLE, OCPPJ_UNPARSABLE, 0, NULL,
        0},
};

static void
test_verdicts(void)
{
    struct ocppj_frame f;

    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        const char *text = frames[i].frame;
        UNIT_CASE(text);
        memset(&f, 0xa5, sizeof f);
        CHECK_EQ(ocppj_cut(&f, &tape, text, strlen(text), OCPPJ_LENIENT,
                     OCPPJ_CALLERROR),
            frames[i].lenient);
        CHECK_EQ(f.verdict, frames[i].lenient);
        CHECK_EQ(f.type, frames[i].type);
        CHECK_EQ(f.deviations, frames[i].deviations);
        CHECK_EQ(f.id_raw.p != NULL, frames[i].id_raw != NULL);
        if (frames[i].id_raw != NULL)
            CHECK_STRN(f.id_raw.p, f.id_raw.len, frames[i].id_raw);
        CHECK_EQ(f.why == NULL, f.verdict == OCPPJ_GOOD);
        CHECK_EQ(f.payload_tok != 0,
            (f.verdict == OCPPJ_GOOD && f.type != OCPPJ_CALLERROR) ||
                (f.deviations & (BIT(long_id) | BIT(long_call))) != 0);

        CHECK_EQ(ocppj_cut(&f, &tape, text, strlen(text), OCPPJ_STRICT,
                     OCPPJ_CALLERROR),
            frames[i].strict);
        if (f.verdict == OCPPJ_MALFORMED)
            CHECK_EQ(f.error, OCPPJ_FORMATION_VIOLATION);
    }
    UNIT_CASE("");
}

static void
cut(struct ocppj_frame *f, const char *text)
{
    UNIT_CASE(text);
    CHECK_EQ(
        ocppj_cut(f, &tape, text, strlen(text), OCPPJ_LENIENT, OCPPJ_CALLERROR),
        OCPPJ_GOOD);
}

static void
test_parts(void)
{
    struct ocppj_frame f;

    /* Payloads are not changed: big numbers, trailing zeros, blanks. */
    cut(&f,
        "[2, \"a\\u0062c\",\"MeterValues\", {\"x\" : 9007199254740993, "
        "\"y\":1.10}]");
    CHECK_STRN(f.id_raw.p, f.id_raw.len, "\"a\\u0062c\"");
    CHECK_STRN(f.id, f.id_len, "abc");
    CHECK_STRN(f.action.p, f.action.len, "MeterValues");
    CHECK_STRN(
        f.payload.p, f.payload.len, "{\"x\" : 9007199254740993, \"y\":1.10}");
    CHECK_EQ(tape.tok[f.payload_tok].type, JSON_OBJECT);

    cut(&f, "[3,77,null]");
    CHECK_STRN(f.id_raw.p, f.id_raw.len, "77");
    CHECK_STRN(f.id, f.id_len, "77");
    CHECK(f.action.p == NULL);
    CHECK_STRN(f.payload.p, f.payload.len, "null");

    cut(&f,
        "[4,\"1\",\"OccurrenceConstraintViolation\",\"so \\\"it\\\" is\","
        "{\"a\":[]}]");
    CHECK_EQ(f.code, OCPPJ_OCCURRENCE_CONSTRAINT);
    CHECK_STRN(f.code_word.p, f.code_word.len, "OccurrenceConstraintViolation");
    CHECK(json_equals(&tape, f.description_tok, "so \"it\" is", 10));
    CHECK_EQ(tape.tok[f.details_tok].type, JSON_OBJECT);
    CHECK(f.payload.p == NULL);

    cut(&f, "[4,\"1\",\"VendorSpecificError\",\"\"]");
    CHECK_EQ(f.code, OCPPJ_ERRORS);
    CHECK_STRN(f.code_word.p, f.code_word.len, "VendorSpecificError");
    CHECK_EQ(f.details_tok, 0);

    /* Escapes in strings are decoded. */
    cut(&f, "[2,\"1\",\"\\u0048eart\\u0062eat\",{}]");
    CHECK_STRN(f.action.p, f.action.len, "Heartbeat");
    cut(&f, "[4,\"1\",\"Generic\\u0045rror\",\"\",{}]");
    CHECK_EQ(f.code, OCPPJ_GENERIC_ERROR);
    CHECK_STRN(f.code_word.p, f.code_word.len, "GenericError");

    /* The payload of a CALLRESULT that has the form of a CALL. */
    cut(&f, "[3,\"1\",\"Reset\",{\"a\":[1,{}]},{\"status\":\"Accepted\"}]");
    CHECK_STRN(f.payload.p, f.payload.len, "{\"status\":\"Accepted\"}");

    /* The action of a malformed CALL is reported if it can be read. */
    const char *text = "[2,\"1\",\"Heartbeat\"]";
    ocppj_cut(&f, &tape, text, strlen(text), OCPPJ_LENIENT, OCPPJ_CALLERROR);
    CHECK_STRN(f.action.p, f.action.len, "Heartbeat");
    UNIT_CASE("");
}

static void
test_errors(void)
{
    static const struct {
        const char      *word;
        enum ocppj_error e;
    } words[] = {
        {"NotImplemented", OCPPJ_NOT_IMPLEMENTED},
        {"NotSupported", OCPPJ_NOT_SUPPORTED},
        {"FormationViolation", OCPPJ_FORMATION_VIOLATION},
        {"FormatViolation", OCPPJ_FORMATION_VIOLATION},
        {"OccurenceConstraintViolation", OCPPJ_OCCURRENCE_CONSTRAINT},
        {"OccurrenceConstraintViolation", OCPPJ_OCCURRENCE_CONSTRAINT},
        {"RpcFrameworkError", OCPPJ_RPC_FRAMEWORK_ERROR},
        {"genericerror", OCPPJ_ERRORS},
        {"", OCPPJ_ERRORS},
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        UNIT_CASE(words[i].word);
        CHECK_EQ(
            ocppj_error_find(words[i].word, strlen(words[i].word)), words[i].e);
    }
    UNIT_CASE("");
    CHECK_STR(ocppj_error_word(OCPPJ_FORMATION_VIOLATION, OCPPJ_SPELLING_16),
        "FormationViolation");
    CHECK_STR(ocppj_error_word(OCPPJ_OCCURRENCE_CONSTRAINT, OCPPJ_SPELLING_16),
        "OccurenceConstraintViolation");
    CHECK_STR(ocppj_error_word(OCPPJ_FORMATION_VIOLATION, OCPPJ_SPELLING_2X),
        "FormatViolation");
}

static void
test_builders(void)
{
    struct buf         out = BUF_INIT(4096);
    struct ocppj_frame f;
    char               many[400];

    ocppj_put_call(&out, "a\"b", 3, "Reset", "{\"type\":\"Soft\"}", 15);
    CHECK_STRN(out.p, out.len, "[2,\"a\\\"b\",\"Reset\",{\"type\":\"Soft\"}]");
    buf_clear(&out);
    ocppj_put_call(&out, "1", 1, "ClearCache", NULL, 0);
    CHECK_STRN(out.p, out.len, "[2,\"1\",\"ClearCache\",{}]");

    /* An answer has the bytes of the id as they were received. */
    cut(&f, "[2,007,\"Heartbeat\",{}]");
    buf_clear(&out);
    ocppj_put_result(&out, f.id_raw, "{\"a\":1.50}", 10);
    CHECK_STRN(out.p, out.len, "[3,7,{\"a\":1.50}]");
    cut(&f, "[2,\"\\u0041\\/\",\"Heartbeat\",{}]");
    buf_clear(&out);
    ocppj_put_result(&out, f.id_raw, NULL, 0);
    CHECK_STRN(out.p, out.len, "[3,\"\\u0041\\/\",{}]");
    buf_clear(&out);
    ocppj_put_error(&out, OCPPJ_SPELLING_16, f.id_raw,
        OCPPJ_FORMATION_VIOLATION, "idTag: found \"x\"", NULL, 0);
    CHECK_STRN(out.p, out.len,
        "[4,\"\\u0041\\/\",\"FormationViolation\","
        "\"idTag: found \\\"x\\\"\",{}]");
    buf_clear(&out);
    ocppj_put_error(&out, OCPPJ_SPELLING_2X, f.id_raw,
        OCPPJ_FORMATION_VIOLATION, NULL, "{\"a\":1}", 7);
    CHECK_STRN(out.p, out.len,
        "[4,\"\\u0041\\/\",\"FormatViolation\",\"\",{\"a\":1}]");

    /* 255 characters, however many bytes. */
    for (int i = 0; i < 199; i++)
        memcpy(many + 2 * i, "\xc3\xa9", 2);
    many[398] = '\0';
    buf_clear(&out);
    ocppj_put_error(
        &out, OCPPJ_SPELLING_16, f.id_raw, OCPPJ_GENERIC_ERROR, many, NULL, 0);
    CHECK(json_scan(&tape, out.p, out.len));
    CHECK_EQ(tape.tok[4].count, 199);
    memset(many, 'x', 398);
    buf_clear(&out);
    ocppj_put_error(
        &out, OCPPJ_SPELLING_16, f.id_raw, OCPPJ_GENERIC_ERROR, many, NULL, 0);
    CHECK(json_scan(&tape, out.p, out.len));
    CHECK_EQ(tape.tok[4].count, 255);
    buf_free(&out);
    UNIT_CASE("");
}

/* An id that an answer repeats is valid JSON with the same value. */
static void
test_ids(void)
{
    static const struct {
        const char *id, *echo;
    } ids[] = {
        {"\"a\\u0062\"", "\"a\\u0062\""},
        {"12.50e-3", "12.50e-3"},
        {"01", "1"},
        {"+1", "1"},
        {"-007", "-7"},
        {".5", "0.5"},
        {"+.5e1", "0.5e1"},
        {"1.", "1.0"},
        {"1.e3", "1.0e3"},
        {"+1.9", "1.9"},
        {"+1.0", "1.0"},
        {"0010.90", "10.90"},
        {"000", "0"},
        {"\"a\tb\x01\"", "\"a\\u0009b\\u0001\""},
        {"\"q\\\"\tb\"", "\"q\\\"\\u0009b\""},
        {"\"\\ud800x\"", "\"\xef\xbf\xbdx\""},
        {"\"\\udc00\\ud800\"", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\"\\ud83d\\ude00\"", "\"\\ud83d\\ude00\""},
        {"\"\xff\"", "\"\xef\xbf\xbd\""},
    };
    struct ocppj_frame f;
    char               text[9000];
    size_t             n;

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        UNIT_CASE(ids[i].id);
        sprintf(text, "[2,%s,\"Heartbeat\",{}]", ids[i].id);
        CHECK_EQ(ocppj_cut(&f, &tape, text, strlen(text), OCPPJ_LENIENT,
                     OCPPJ_CALLERROR),
            OCPPJ_GOOD);
        CHECK_STRN(f.id_raw.p, f.id_raw.len, ids[i].echo);
        CHECK(json_scan(&tape, f.id_raw.p, f.id_raw.len));
        CHECK_EQ(tape.deviations, 0);
    }
    UNIT_CASE("");
    /* 36 characters, each of which is written as a pair of escapes, are
     * repeated unchanged. */
    strcpy(text, "[2,\"");
    for (int i = 0; i < 36; i++)
        strcat(text, "\\ud83d\\ude00");
    strcat(text, "\",\"Heartbeat\",{}]");
    cut(&f, text);
    CHECK_EQ(f.id_raw.len, 36 * 4 + 2);
    /* An answer repeats at most a part of a longer id. */
    for (int len = 37; len < 8000; len += 481) {
        n = (size_t)sprintf(text, "[2,\"%0*d\",\"Heartbeat\",{}]", len, 0);
        ocppj_cut(&f, &tape, text, n, OCPPJ_LENIENT, OCPPJ_CALLERROR);
        CHECK_EQ(f.verdict,
            len + 2 <= OCPPJ_ID_ECHO_MAX ? OCPPJ_LONG_ID : OCPPJ_NO_ID);
        CHECK_EQ(f.id_raw.len, len + 2 <= OCPPJ_ID_ECHO_MAX ? len + 2 : 0);
    }
    n = (size_t)sprintf(text, "[2,\"\t%050d\",\"Heartbeat\",{}]", 0);
    CHECK_EQ(ocppj_cut(&f, &tape, text, n, OCPPJ_LENIENT, OCPPJ_CALLERROR),
        OCPPJ_NO_ID);
}

/* OCPP 2.1 has two more message types. In no version is an answer
 * answered. */
static void
test_types(void)
{
    static const struct {
        const char *text;
        bool        answerable;
    } rows[] = {
        {"[2,\"1\"", true},
        {"[ 2]", true},
        {"hello", true},
        {"", true},
        {"{}", true},
        {"[", true},
        {"[7,\"1\"]", true},
        {"[0]", true},
        {"[\"2\"]", true},
        {"\xef\xbb\xbf[2", true},
        {"[3,\"1\"", false},
        {" [\n4,", false},
        {"[5", false},
        {"[6,1]", false},
        {"[\"3\"]", false},
        {"[\" 4\",\"-1\"", false},
        {"[04,", false},
        {"[+5,", false},
        {"\xef\xbb\xbf[3", false},
    };
    struct ocppj_frame f;
    const char *send = "[6,\"1\",\"NotifyPeriodicEventStream\",{\"a\":1}]";
    const char *error = "[5,\"1\",\"GenericError\",\"why\",{}]";

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK_EQ(ocppj_answerable(rows[i].text, strlen(rows[i].text)),
            rows[i].answerable);
    CHECK_EQ(ocppj_cut(&f, &tape, send, strlen(send), OCPPJ_STRICT, OCPPJ_SEND),
        OCPPJ_GOOD);
    CHECK_EQ(f.type, OCPPJ_SEND);
    CHECK_STRN(f.action.p, f.action.len, "NotifyPeriodicEventStream");
    CHECK_STRN(f.payload.p, f.payload.len, "{\"a\":1}");
    CHECK_EQ(
        ocppj_cut(&f, &tape, error, strlen(error), OCPPJ_STRICT, OCPPJ_SEND),
        OCPPJ_GOOD);
    CHECK_EQ(f.type, OCPPJ_CALLRESULTERROR);
    CHECK_EQ(f.code, OCPPJ_GENERIC_ERROR);
}

int
main(void)
{
    test_verdicts();
    test_parts();
    test_errors();
    test_builders();
    test_ids();
    test_types();
    return unit_done();
}
