/*
 * messages_test: valid and broken messages of all OCPP versions, made from the
 * tables, in an order that depends on a seed: messages_test [seed [rounds]].
 *
 * A valid message passes strict validation. A message with a single error of a
 * known kind does not; lenient validation reports a deviation, or refuses it as
 * well. The gateway's default answer to a valid message is valid too.
 */
#include <stdlib.h>

#include "ocpp/default_answer.h"
#include "ocpp/dialect.h"
#include "ocpp/event_kind.h"
#include "unit.h"

static struct json_token tokens[100000];
static struct json       tape = JSON_INIT(tokens, 100000);
static struct json_token answer_tokens[1000];
static struct json       answer_tape = JSON_INIT(answer_tokens, 1000);
static struct buf        text = {.max = 8 << 20};
static uint64_t          seed = 1;

static unsigned
draw(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)((seed >> 20) % n);
}

/* --- a valid message -------------------------------------------------------- */

/* The error to be made: at the n-th place at which one can be made. */
static long places, broken_at; /* broken_at < 0: nowhere */
static bool broken;
/* If it is not 0, one of so many places gets an error, instead of only one. */
static unsigned often;

static bool
breaks(void)
{
    bool now = often ? draw(often) == 0 : !broken && places++ == broken_at;

    broken |= now;
    return now;
}

static void
put_characters(unsigned n)
{
    static const char *const odd[] = {
        "\xc3\xbc", "\xf0\x9f\x98\x80", "\\u20ac", "\\\"", "/", " "};

    buf_addc(&text, '"');
    for (unsigned i = 0; i < n; i++)
        buf_adds(&text, draw(30) == 0 ? odd[draw(6)] : "x");
    buf_addc(&text, '"');
}

static void
put_word(const struct schema_enum *e)
{
    const char *w = e->words;

    for (unsigned i = draw(e->count); i > 0; i--)
        w += 1 + (unsigned char)*w;
    buf_addc(&text, '"');
    buf_add(&text, w + 1, (unsigned char)*w);
    buf_adds(&text, breaks() ? "?\"" : "\"");
}

static void
put_number(const struct schema_message *m, const struct schema_field *f)
{
    int64_t low = -1000, high = 1000;

    if (f->of.range != NULL && f->of.range->low != INT32_MIN)
        high = (low = f->of.range->low) + 1000;
    if (f->of.range != NULL && f->of.range->high != INT32_MAX) {
        high = f->of.range->high;
        low = f->of.range->low != INT32_MIN ? low : high - 1000;
    }
    if (f->of.range != NULL && breaks())
        buf_addf(&text, "%lld",
            (long long)(f->of.range->low != INT32_MIN ? low - 1 : high + 1));
    else if (breaks())
        buf_adds(&text, "\"x\"");
    else {
        buf_addf(
            &text, "%lld", (long long)(low + draw((unsigned)(high - low + 1))));
        if (f->type == SCHEMA_INTEGER && breaks())
            buf_adds(&text, ".5");
        else if (f->type == SCHEMA_NUMBER || (m->flags & SCHEMA_DRAFT_06))
            buf_adds(&text, draw(3) == 0 ? ".0" : "");
    }
}

static void put_object(
    const struct schema_message *m, const struct schema_object *o, int depth);

static void
put_value(
    const struct schema_message *m, const struct schema_field *f, int depth)
{
    static const char *const any[] = {
        "null", "1", "\"a\"", "{\"a\":[]}", "[1]"};
    static const char *const times[] = {"\"2026-01-31T12:34:56Z\"",
        "\"2024-02-29T00:00:00.123+02:00\"", "\"2026-12-31T23:59:59.9Z\""};
    unsigned                 max = f->max ? f->max : 50;

    switch ((enum schema_type)f->type) {
    case SCHEMA_STRING:
    case SCHEMA_TEXT:
        if (breaks())
            buf_adds(&text, "7");
        else if (f->max != 0 && breaks())
            put_characters(f->max + 1);
        else
            put_characters(draw(4) == 0 ? max : draw(max < 30 ? max : 30));
        break;
    case SCHEMA_ENUM:
        put_word(f->of.words);
        break;
    case SCHEMA_DATETIME:
        buf_adds(&text, breaks() ? "\"2026-02-30T00:00:00Z\"" : times[draw(3)]);
        break;
    case SCHEMA_URI:
        buf_adds(&text, breaks() ? "\"no uri\"" : "\"ftp://host/path\"");
        break;
    case SCHEMA_INTEGER:
    case SCHEMA_NUMBER:
        put_number(m, f);
        break;
    case SCHEMA_BOOLEAN:
        buf_adds(&text, breaks() ? "\"yes\"" : draw(2) ? "true" : "false");
        break;
    case SCHEMA_OBJECT:
        if (breaks())
            buf_adds(&text, "5");
        else
            put_object(m, f->of.object, depth + 1);
        break;
    case SCHEMA_ANY:
        buf_adds(&text, any[draw(5)]);
        break;
    }
}

static void
put_field(
    const struct schema_message *m, const struct schema_field *f, int depth)
{
    unsigned n = f->min_items + draw(3);

    buf_addf(&text, "\"%s\":", f->name);
    if (f->type != SCHEMA_ANY && breaks()) {
        buf_adds(&text, "null");
        return;
    }
    if (!(f->flags & SCHEMA_ARRAY)) {
        put_value(m, f, depth);
        return;
    }
    if (f->max_items != 0 && n > f->max_items)
        n = f->max_items;
    if (f->min_items > 0 && breaks())
        n = f->min_items - 1;
    else if (f->max_items != 0 && f->max_items < 50 && breaks())
        n = f->max_items + 1;
    buf_addc(&text, '[');
    for (unsigned i = 0; i < n; i++) {
        buf_adds(&text, i ? "," : "");
        put_value(m, f, depth);
    }
    buf_addc(&text, ']');
}

static void
put_object(
    const struct schema_message *m, const struct schema_object *o, int depth)
{
    bool     any = false, backwards = draw(3) == 0;
    unsigned likely = depth > 4 ? 0 : draw(4);

    buf_addc(&text, '{');
    for (uint32_t n = 0; n < o->count; n++) {
        uint32_t i = backwards ? o->count - 1 - n : n;
        bool     required = o->required >> i & 1;
        if (required ? breaks() : draw(4) >= likely)
            continue;
        buf_adds(&text, any ? "," : "");
        put_field(m, &o->fields[i], depth);
        any = true;
    }
    if (breaks()) {
        buf_addf(&text, "%s\"extra_\":1", any ? "," : "");
    } else if ((m->flags & SCHEMA_CUSTOM_DATA) && draw(5) == 0) {
        buf_addf(&text, "%s\"customData\":{", any ? "," : "");
        if (breaks())
            buf_adds(&text, "\"a\":1}");
        else
            buf_adds(&text, "\"vendorId\":\"V\",\"a\":{\"b\":[null]}}");
    }
    buf_addc(&text, '}');
}

/* Writes a message. With at >= 0 it has an error at that place, if there are
 * so many places. */
static void
make(const struct schema_message *m, enum schema_part part, long at)
{
    broken = false;
    places = 0;
    broken_at = at;
    buf_clear(&text);
    put_object(m, part == SCHEMA_REQUEST ? &m->request : &m->response, 0);
    CHECK(!text.overflow);
    CHECK(json_scan(&tape, text.p, text.len));
    CHECK_EQ(tape.deviations, 0);
}

/* --- what must hold for it ------------------------------------------------ */

static void
check_answer(const struct schema_message *m)
{
    static struct buf            out = {.max = 1 << 20};
    static struct schema_verdict v;

    if (!(m->direction & SCHEMA_CP) || (m->flags & SCHEMA_SEND))
        return;
    for (unsigned i = 0; i < (m->answer ? m->answer->count : 1u); i++) {
        struct default_answer a = {.m = m,
            .tape = &tape,
            .status = m->answer ? m->answer->statuses[i] : "",
            .token_status = "Accepted",
            .now = "2026-01-31T12:34:56.000Z",
            .interval_s = 300,
            .transaction_id = 1};
        struct writer         w = WRITER_INIT(&out);
        buf_clear(&out);
        writer_open(&w, NULL, '{');
        default_answer_put(&w, &a);
        writer_close(&w);
        CHECK(json_scan(&answer_tape, out.p, out.len));
        CHECK_EQ(answer_tape.deviations, 0);
        if (!schema_check(
                m, SCHEMA_RESPONSE, &answer_tape, 0, OCPPJ_STRICT, &v))
            printf("%s: %.*s\n", v.text, (int)out.len, out.p);
        CHECK(v.ok);
    }
    CHECK(event_kind_of(m, &tape, 0) <= EVENT_none);
}

static void
check_message(const struct schema_message *m, enum schema_part part)
{
    static struct schema_verdict v;

    make(m, part, -1);
    bool good = schema_check(m, part, &tape, 0, OCPPJ_STRICT, &v);
    if (!good)
        printf("%s: %s: %.*s\n", m->name, v.text, (int)text.len, text.p);
    CHECK(good);
    CHECK(schema_check(m, part, &tape, 0, OCPPJ_LENIENT, &v));
    CHECK_EQ(v.deviations, 0);
    if (part == SCHEMA_REQUEST)
        check_answer(m);

    make(m, part, places ? draw((unsigned)places) : 0);
    if (!broken)
        return;
    good = schema_check(m, part, &tape, 0, OCPPJ_STRICT, &v);
    if (good)
        printf("%s: not refused: %.*s\n", m->name, (int)text.len, text.p);
    CHECK(!good);
    CHECK(v.code < OCPPJ_ERRORS);
    CHECK(v.text[0] != '\0');
    good = schema_check(m, part, &tape, 0, OCPPJ_LENIENT, &v);
    CHECK(good == (v.deviations != 0) || !good);
}

/* Lenient validation accepts a message about a transaction, however many
 * errors it has, and reports them. */
static void
check_transactional(const struct schema_message *m)
{
    static struct schema_verdict v;

    if (!schema_is_transactional(m))
        return;
    for (int i = 0; i < 20; i++) {
        often = 2 + draw(30);
        make(m, SCHEMA_REQUEST, -1);
        often = 0;
        bool good =
            schema_check(m, SCHEMA_REQUEST, &tape, 0, OCPPJ_LENIENT, &v);
        if (!good)
            printf("%s: %s: %.*s\n", m->name, v.text, (int)text.len, text.p);
        CHECK(good);
        CHECK_EQ(v.deviations != 0, broken);
    }
}

int
main(int argc, char **argv)
{
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 20;

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0) | 1;
    for (unsigned r = 0; r < rounds; r++)
        for (unsigned d = 0; d < DIALECTS; d++)
            for (uint32_t i = 0; i < dialects[d].schema->count; i++) {
                const struct schema_message *m =
                    &dialects[d].schema->messages[i];
                UNIT_CASE(m->name);
                check_message(m, SCHEMA_REQUEST);
                check_transactional(m);
                if (!(m->flags & SCHEMA_SEND))
                    check_message(m, SCHEMA_RESPONSE);
            }
    UNIT_CASE("");
    return unit_done();
}
