/* json_test: the JSON scanner, its deviations, and reading its tape. */
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "ocpp/json.h"
#include "unit.h"

static struct json_token tokens[70000];
static struct json       j = JSON_INIT(tokens, 70000);

/* A string literal that may contain NUL bytes. */
#define TEXT(s) s, sizeof(s) - 1
#define BIT(word) DEVIATION_BIT(word)

/* The text, the text that is written from its tape, the error and the
 * deviations. */
static const struct {
    const char     *text;
    size_t          len;
    enum json_error error;
    uint64_t        deviations;
    uint32_t        at; /* offset of the error, or of the first deviation */
    const char     *put;
} texts[] = {
    /* RFC 8259 */
    {TEXT("{}"), 0, 0, 0, "{}"},
    {TEXT(" [ ] "), 0, 0, 0, "[ ]"},
    {TEXT("[1,\t-2.5e+3, true]"), 0, 0, 0, "[1,\t-2.5e+3, true]"},
    {TEXT("{\"a\" : null}"), 0, 0, 0, "{\"a\" : null}"},
    {TEXT("{\"a\" :\n [1,\r\n 2]}"), 0, 0, 0, "{\"a\":[1,2]}"},
    {TEXT("\"\\u00e9\\ud83d\\ude00 \xc3\xa9\""), 0, 0, 0,
        "\"\\u00e9\\ud83d\\ude00 \xc3\xa9\""},
    {TEXT("0"), 0, 0, 0, "0"},
    {TEXT("-0"), 0, 0, 0, "-0"},
    {TEXT("false"), 0, 0, 0, "false"},
    {TEXT("9007199254740993"), 0, 0, 0, "9007199254740993"},
    {TEXT("1e400"), 0, 0, 0, "1e400"},
    {TEXT("\"\""), 0, 0, 0, "\"\""},
    {TEXT("{\"a\":1,\"b\":{\"a\":2}}"), 0, 0, 0, "{\"a\":1,\"b\":{\"a\":2}}"},

    /* texts with a deviation, which have only one meaning */
    {TEXT("[01]"), 0, BIT(leading_zero), 1, "[1]"},
    {TEXT("[-007]"), 0, BIT(leading_zero), 1, "[-7]"},
    {TEXT("[000]"), 0, BIT(leading_zero), 1, "[0]"},
    {TEXT("[1.]"), 0, BIT(loose_number), 1, "[1.0]"},
    {TEXT("[1.e2]"), 0, BIT(loose_number), 1, "[1.0e2]"},
    {TEXT("[.5]"), 0, BIT(loose_number), 1, "[0.5]"},
    {TEXT("[-.5]"), 0, BIT(loose_number), 1, "[-0.5]"},
    {TEXT("[+5]"), 0, BIT(loose_number), 1, "[5]"},
    {TEXT("[0, +00.]"), 0, BIT(loose_number) | BIT(leading_zero), 4, "[0,0.0]"},
    {TEXT("\"a\tb\nc\""), 0, BIT(control_char), 2, "\"a\\u0009b\\u000ac\""},
    {TEXT("\"\x7f\""), 0, 0, 0, "\"\x7f\""},
    {TEXT("\"\xff\""), 0, BIT(bad_utf8), 1, "\"\xef\xbf\xbd\""},
    {TEXT("\"ab\xc3\""), 0, BIT(bad_utf8), 3, "\"ab\xef\xbf\xbd\""},
    {TEXT("\"\xed\xa0\x80\""), 0, BIT(bad_utf8), 1,
        "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {TEXT("\"\xc0\x80\""), 0, BIT(bad_utf8), 1, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {TEXT("\"\xf4\x90\x80\x80\""), 0, BIT(bad_utf8), 1,
        "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {TEXT("\"\\ud800\""), 0, BIT(lone_surrogate), 1, "\"\\ud800\""},
    {TEXT("\"\\udc00\\ud800\""), 0, BIT(lone_surrogate), 1,
        "\"\\udc00\\ud800\""},
    {TEXT("\"\\ud800\\u0041\""), 0, BIT(lone_surrogate), 1,
        "\"\\ud800\\u0041\""},
    {TEXT("\xef\xbb\xbf[]"), 0, BIT(bom), 0, "[]"},
    {TEXT("[]\0"), 0, BIT(nul_byte), 2, "[]"},
    {TEXT("[\0]"), 0, BIT(nul_byte), 1, "[]"},
    {TEXT("\"a\0b\""), 0, BIT(nul_byte), 2, "\"a\\u0000b\""},
    {TEXT("\"a\\u0000b\""), 0, BIT(nul_escape), 2, "\"a\\u0000b\""},
    {TEXT("{\"a\":1,\"a\":2}"), 0, BIT(duplicate_key), 8, "{\"a\":1,\"a\":2}"},
    {TEXT("{\"a\":1,\"\\u0061\":2}"), 0, BIT(duplicate_key), 8,
        "{\"a\":1,\"\\u0061\":2}"},
    {TEXT("[{\"x\":{\"k\":1,\"l\":2,\"k\":3}}]"), 0, BIT(duplicate_key), 20,
        "[{\"x\":{\"k\":1,\"l\":2,\"k\":3}}]"},
    {TEXT("[] x"), 0, BIT(trailing_garbage), 3, "[]"},
    {TEXT("[2][3]"), 0, BIT(trailing_garbage), 3, "[2]"},

    /* texts that cannot be read */
    {TEXT(""), JSON_EMPTY, 0, 0, NULL},
    {TEXT(" \n"), JSON_EMPTY, 0, 2, NULL},
    {TEXT("\xef\xbb\xbf"), JSON_EMPTY, 1, 3, NULL},
    {TEXT("["), JSON_ENDS_EARLY, 0, 1, NULL},
    {TEXT("[1"), JSON_ENDS_EARLY, 0, 2, NULL},
    {TEXT("[1,"), JSON_ENDS_EARLY, 0, 3, NULL},
    {TEXT("{\"a\""), JSON_ENDS_EARLY, 0, 4, NULL},
    {TEXT("{\"a\":"), JSON_ENDS_EARLY, 0, 5, NULL},
    {TEXT("\"abc"), JSON_ENDS_EARLY, 0, 4, NULL},
    {TEXT("\"abc\\"), JSON_ENDS_EARLY, 0, 4, NULL},
    {TEXT("\"abc\\\""), JSON_ENDS_EARLY, 0, 6, NULL},
    {TEXT("\"\\u12"), JSON_ENDS_EARLY, 0, 1, NULL},
    {TEXT("[1,]"), JSON_UNEXPECTED, 0, 3, NULL},
    {TEXT("[,1]"), JSON_UNEXPECTED, 0, 1, NULL},
    {TEXT("[1 2]"), JSON_UNEXPECTED, 0, 3, NULL},
    {TEXT("{a:1}"), JSON_UNEXPECTED, 0, 1, NULL},
    {TEXT("{'a':1}"), JSON_UNEXPECTED, 0, 1, NULL},
    {TEXT("{\"a\" 1}"), JSON_UNEXPECTED, 0, 5, NULL},
    {TEXT("{\"a\":1,}"), JSON_UNEXPECTED, 0, 7, NULL},
    {TEXT("[}"), JSON_UNEXPECTED, 0, 1, NULL},
    {TEXT("[1}"), JSON_UNEXPECTED, 0, 2, NULL},
    {TEXT("{]"), JSON_UNEXPECTED, 0, 1, NULL},
    {TEXT("NaN"), JSON_UNEXPECTED, 0, 0, NULL},
    {TEXT("[1a]"), JSON_UNEXPECTED, 0, 2, NULL},
    {TEXT("[0x10]"), JSON_UNEXPECTED, 0, 2, NULL},
    {TEXT("nul"), JSON_BAD_WORD, 0, 0, NULL},
    {TEXT("[truu]"), JSON_BAD_WORD, 0, 1, NULL},
    {TEXT("-"), JSON_BAD_NUMBER, 0, 0, NULL},
    {TEXT("."), JSON_BAD_NUMBER, 0, 0, NULL},
    {TEXT("[1e]"), JSON_BAD_NUMBER, 0, 1, NULL},
    {TEXT("[1e+]"), JSON_BAD_NUMBER, 0, 1, NULL},
    {TEXT("\"\\x\""), JSON_BAD_ESCAPE, 0, 1, NULL},
    {TEXT("\"\\u12g4\""), JSON_BAD_ESCAPE, 0, 1, NULL},
};

static void
test_texts(void)
{
    struct buf out = BUF_INIT(4096);

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        /* A copy of exact size, so that a sanitizer detects reading beyond its
         * end. */
        char *copy = malloc(texts[i].len + !texts[i].len);
        memcpy(copy, texts[i].text, texts[i].len);
        UNIT_CASE(texts[i].text);
        bool good = json_scan(&j, copy, texts[i].len);
        CHECK_EQ(good, texts[i].error == JSON_OK);
        CHECK_EQ(j.error, texts[i].error);
        if (!good) {
            CHECK_EQ(j.error_at, texts[i].at);
            CHECK_EQ(j.count, 0);
        } else {
            CHECK_EQ(j.deviations, texts[i].deviations);
            CHECK_EQ(j.deviation_at, texts[i].at);
            CHECK_EQ(j.tok[0].next, j.count);
            buf_clear(&out);
            json_put(&j, 0, &out);
            CHECK_STRN(out.p, out.len, texts[i].put);
        }
        free(copy);
    }
    UNIT_CASE("");
    buf_free(&out);
}

static void
test_tape(void)
{
    static const char     text[] = "{\"a\":[1,2],\"b\":true}";
    static const uint32_t next[] = {7, 2, 5, 4, 5, 6, 7};
    static const uint32_t count[] = {2, 1, 2, 0, 0, 1, 0};
    static const uint8_t  type[] = {JSON_OBJECT, JSON_STRING, JSON_ARRAY,
         JSON_NUMBER, JSON_NUMBER, JSON_STRING, JSON_TRUE};
    size_t                len;

    CHECK(json_scan(&j, TEXT(text)));
    CHECK_EQ(j.count, 7);
    for (uint32_t i = 0; i < 7; i++) {
        CHECK_EQ(j.tok[i].next, next[i]);
        CHECK_EQ(j.tok[i].count, count[i]);
        CHECK_EQ(j.tok[i].type, type[i]);
    }
    const char *raw = json_raw(&j, 2, &len);
    CHECK_STRN(raw, len, "[1,2]");
    raw = json_raw(&j, 5, &len);
    CHECK_STRN(raw, len, "\"b\"");
}

static void
test_limits(void)
{
    static struct json_token few[3];
    struct json              small = JSON_INIT(few, 3);
    char                     deep[2 * JSON_DEPTH_MAX + 4];

    CHECK(json_scan(&small, TEXT("[1,2]")));
    CHECK(!json_scan(&small, TEXT("[1,2,3]")));
    CHECK_EQ(small.error, JSON_TOO_MANY_TOKENS);
    CHECK(!json_scan(&small, TEXT("{\"a\":1,\"b\":2}")));
    CHECK_EQ(small.error, JSON_TOO_MANY_TOKENS);

    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    CHECK(json_scan(&j, deep + 1, 2 * JSON_DEPTH_MAX));
    CHECK(!json_scan(&j, deep, 2 * JSON_DEPTH_MAX + 2));
    CHECK_EQ(j.error, JSON_TOO_DEEP);
    small.max_depth = 1;
    CHECK(json_scan(&small, TEXT("[1]")));
    CHECK(!json_scan(&small, TEXT("[[]]")));
    CHECK_EQ(small.error, JSON_TOO_DEEP);
}

/* Long strings, so that the steps of eight bytes occur at every alignment. */
static void
test_alignments(void)
{
    static const char odd[] = {'"', '\\', '\n', '\0', '\x1f', '\x80'};
    char              text[40];

    for (size_t n = 0; n < 30; n++)
        for (size_t k = 0; k < sizeof odd; k++) {
            text[0] = '"';
            memset(text + 1, 'x', n);
            text[n + 1] = odd[k];
            text[n + 2] = '"';
            bool good = json_scan(&j, text, n + 3);
            CHECK_EQ(good, odd[k] != '\\');
            if (good && odd[k] == '"')
                CHECK_EQ(j.deviations, BIT(trailing_garbage));
            else if (good)
                CHECK_EQ(j.deviation_at, n + 1);
            if (good)
                CHECK_EQ(j.tok[0].count, n + (odd[k] != '"'));
        }
}

/* Writes an object of n different keys. Returns its length. */
static size_t
put_keys(char *text, uint32_t n)
{
    size_t len = 0;

    text[len++] = '{';
    for (uint32_t i = 0; i < n; i++)
        len += (size_t)sprintf(text + len, "%s\"k%u\":1", i ? "," : "", i);
    text[len++] = '}';
    return len;
}

/* Returns the processor time of `times` scans. */
static clock_t
time_of(const char *text, size_t len, unsigned times)
{
    clock_t began = clock();

    for (unsigned i = 0; i < times; i++)
        CHECK(json_scan(&j, text, len));
    return clock() - began;
}

/* Ten times as many keys take about ten times as long, and not a hundred
 * times. */
static void
test_many_keys_take_no_square(void)
{
    static char few[3000 * 12 + 2], many[30000 * 12 + 2];
    size_t      n_few = put_keys(few, 3000), n_many = put_keys(many, 30000);
    bool        linear = false;

    for (int tries = 0; tries < 5 && !linear; tries++)
        linear = time_of(many, n_many, 1) < 4 * time_of(few, n_few, 10);
    CHECK(linear);
}

/* Among many keys a duplicate is found at any place, and the tape stays
 * complete. */
static void
test_many_keys(void)
{
    enum { KEYS = 30000 };
    char *text = malloc(KEYS * 12 + 2);

    for (uint32_t twin = 0; twin < 3; twin++) {
        size_t n = 0;
        text[n++] = '{';
        for (uint32_t i = 0; i < KEYS; i++) {
            uint32_t name = i * 7919u % KEYS;
            if (twin != 0 && i == KEYS - 1)
                name = twin == 1 ? 0 : (KEYS - 2) * 7919u % KEYS;
            n += (size_t)sprintf(text + n, "%s\"k%u\":1", i ? "," : "", name);
        }
        text[n++] = '}';
        CHECK(json_scan(&j, text, n));
        CHECK_EQ(j.deviations, twin ? BIT(duplicate_key) : 0);
        CHECK_EQ(j.tok[0].count, KEYS);
        CHECK_EQ(j.count, 2 * KEYS + 1);
        bool whole = true;
        for (uint32_t i = 1; i < j.count; i++)
            whole &= j.tok[i].next == i + 1;
        CHECK(whole);
    }
    free(text);
}

static void
test_strings(void)
{
    char out[32];
    bool full;

    CHECK(json_scan(&j,
        TEXT("[\"a\\u00e9\\n\\ud83d\\ude00\",\"plain\","
             "\"\\ud800\xff\",{\"k\\u0065y\":5,\"KEY\":6}]")));
    CHECK_EQ(j.tok[1].count, 4);
    CHECK_EQ(j.tok[1].flags, JSON_ESCAPED);
    size_t n = json_string(&j, 1, out, sizeof out, &full);
    CHECK_STRN(out, n, "a\xc3\xa9\n\xf0\x9f\x98\x80");
    CHECK(full);
    n = json_string(&j, 1, out, 8, &full); /* as long as the buffer */
    CHECK_STRN(out, n, "a\xc3\xa9\n\xf0\x9f\x98\x80");
    CHECK(full);
    /* The string is cut between two characters, and not within one. */
    n = json_string(&j, 1, out, 7, &full);
    CHECK_STRN(out, n, "a\xc3\xa9\n");
    CHECK(!full);
    n = json_string(&j, 3, out, sizeof out, NULL);
    CHECK_STRN(out, n, "\xef\xbf\xbd\xef\xbf\xbd");
    /* A value of another type has no bytes. */
    CHECK_EQ(json_string(&j, 4, out, sizeof out, &full), 0);
    CHECK(!full);
    CHECK(json_equals(&j, 1, "a\xc3\xa9\n\xf0\x9f\x98\x80", 8));
    CHECK(!json_equals(&j, 1, "a\xc3\xa9\n\xf0\x9f\x98\x80x", 9));
    CHECK(!json_equals(&j, 1, "a", 1));
    CHECK(json_equals(&j, 2, "plain", 5));
    CHECK(!json_equals(&j, 2, "Plain", 5));
    CHECK(!json_equals(&j, 0, "", 0));
    CHECK_EQ(json_member(&j, 4, "key", 3), 6);
    CHECK_EQ(json_member(&j, 4, "KEY", 3), 8);
    CHECK_EQ(json_member(&j, 4, "Key", 3), 0);
    CHECK_EQ(json_member(&j, 1, "key", 3), 0);
}

static void
test_numbers(void)
{
    static const struct {
        const char *text;
        bool        whole;
        int64_t     value;
    } integers[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"-1", true, -1},
        {"007", true, 7},
        {"+7", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"9007199254740993", true, 9007199254740993},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"1.", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
    };
    static const char *const doubles[] = {
        "0",
        "-0",
        "1",
        "0.1",
        "-2.5e3",
        "123456789.125",
        "1e22",
        "1e-7",
        "9007199254740993",
        "1.7976931348623157e308",
        "5e-324",
        "1e400",
        "-1e400",
        "1e-400",
        "0e999999999999",
        "3.14159265358979323846264338",
        "100000000000000000000000000000000000000000000000000000000000001",
        "0.000000000000000000000000000000000000000000000000000000000000001",
        "1e99999999999999999999",
        "1e-99999999999999999999",
    };

    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        int64_t v = 0;
        UNIT_CASE(integers[i].text);
        CHECK(json_scan(&j, integers[i].text, strlen(integers[i].text)));
        CHECK_EQ(json_int64(&j, 0, &v), integers[i].whole);
        CHECK_EQ(v, integers[i].value);
    }
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
        double v = 1;
        UNIT_CASE(doubles[i]);
        CHECK(json_scan(&j, doubles[i], strlen(doubles[i])));
        CHECK(json_double(&j, 0, &v));
        CHECK(v == strtod(doubles[i], NULL));
    }
    /* A value is converted with and without strtod(). Both results are rounded
     * in the same way. */
    for (int i = 0; i < 20000; i++) {
        double v = 1;
        char   text[64];
        snprintf(text, sizeof text, "%s%ld.%ldE%+d", random() & 1 ? "-" : "",
            random() >> random() % 31, random() >> random() % 31,
            (int)(random() % 61) - 30);
        UNIT_CASE(text);
        CHECK(json_scan(&j, text, strlen(text)));
        CHECK(json_double(&j, 0, &v));
        CHECK(v == strtod(text, NULL));
    }
    double v;
    CHECK(json_scan(&j, TEXT("[.5,+1.,\"1\"]")));
    CHECK(json_double(&j, 1, &v) && v == 0.5);
    CHECK(json_double(&j, 2, &v) && v == 1);
    CHECK(!json_double(&j, 3, &v));
    UNIT_CASE("");
}

static void
test_words(void)
{
    for (unsigned d = 0; d < DEVIATIONS; d++)
        CHECK(strlen(deviation_sentence((enum deviation)d)) > 10);
    for (int e = JSON_OK; e <= JSON_TOO_LONG; e++)
        CHECK(strlen(json_error_text((enum json_error)e)) > 1);
}

int
main(void)
{
    test_texts();
    test_tape();
    test_limits();
    test_alignments();
    test_many_keys();
    test_many_keys_take_no_square();
    test_strings();
    test_numbers();
    test_words();
    return unit_done();
}
