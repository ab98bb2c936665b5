/* Records of state as lines of text. */
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "unit.h"

static struct fields f;
static char          room[4096];

/* Parses a copy in a heap block of its exact size plus one byte, so that a
 * sanitizer detects an access beyond it. */
static bool
parse(const char *text)
{
    static char *copy;
    size_t       n = strlen(text);

    free(copy);
    copy = malloc(n + 1);
    memcpy(copy, text, n);
    copy[n] = 'x';
    return fields_parse(&f, copy, n);
}

static void
what_is_written_is_read(void)
{
    struct buf     b = BUF_INIT(8192);
    unsigned char  all[256];
    const uint64_t list[3] = {0, 7, UINT64_MAX};
    uint64_t       back[3];

    for (int i = 0; i < 256; i++)
        all[i] = (unsigned char)i;
    fields_begin(&b, "thing");
    fields_put_u64(&b, "zero", 0);
    fields_put_u64(&b, "most", UINT64_MAX);
    fields_put_i64(&b, "least", INT64_MIN);
    fields_put_bytes(&b, "all", all, sizeof all);
    fields_put_str(&b, "empty", "");
    fields_put_str(&b, "text", "a b=c%\n");
    fields_put_list(&b, "list", list, 3);
    fields_end(&b);
    CHECK(memchr(b.p, '\n', b.len) == b.p + b.len - 1);
    memcpy(room, b.p, b.len);
    CHECK(fields_parse(&f, room, b.len));
    CHECK_STR(f.word, "thing");
    CHECK(fields_u64(&f, "most", 1, UINT64_MAX) == UINT64_MAX);
    CHECK_EQ(fields_u64(&f, "zero", 1, 9), 0u);
    CHECK(fields_i64(&f, "least", 0, INT64_MIN, 0) == INT64_MIN);
    const struct field *v = fields_find(&f, "all");
    CHECK(v != NULL && v->len == sizeof all &&
        memcmp(v->value, all, sizeof all) == 0);
    v = fields_find(&f, "empty");
    CHECK(v != NULL && v->len == 0);
    CHECK_STR(fields_str(&f, "text", 99), "a b=c%\n");
    CHECK(fields_list(&f, "list", back, 3));
    CHECK(memcmp(back, list, sizeof list) == 0);
    CHECK(f.bad == NULL);
    buf_free(&b);
}

static void
unknown_and_missing_keys_are_no_error(void)
{
    uint64_t list[2] = {8, 9};

    CHECK(parse("conn later=new a=1 a=2 0x=y"));
    CHECK_EQ(fields_u64(&f, "a", 5, 9), 1);
    CHECK_EQ(fields_u64(&f, "missing", 5, 9), 5);
    CHECK_EQ(fields_i64(&f, "missing", -5, -9, 9), -5);
    CHECK_STR(fields_str(&f, "missing", 9), "");
    CHECK(fields_bool(&f, "missing", true));
    CHECK(!fields_list(&f, "missing", list, 2) && list[1] == 9);
    CHECK(f.bad == NULL);
    CHECK(parse("conn\n"));
    CHECK_EQ(f.n, 0u);
}

static void
hostile_values_give_the_default_and_are_named(void)
{
    static const char *const numbers[] = {"a=", "a=-1", "a=+1", "a=0x1",
        "a=1e3", "a=18446744073709551616", "a=99999999999999999999999",
        "a=1%20", "a=1%00", "a=10", "a=%", "a=1:"};
    static const char *const lists[] = {
        "a=1", "a=1:2:3", "a=1:", "a=:1", "a=1::2", "a=1:-2", "a=1:2%00"};
    uint64_t list[2];
    char     line[64];

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        UNIT_CASE(numbers[i]);
        snprintf(line, sizeof line, "w %s", numbers[i]);
        if (!parse(line))
            continue; /* "%" alone is not a record */
        CHECK_EQ(fields_u64(&f, "a", 5, 9), 5);
        CHECK(f.bad != NULL && strcmp(f.bad, "a") == 0);
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        UNIT_CASE(lists[i]);
        snprintf(line, sizeof line, "w %s", lists[i]);
        CHECK(parse(line));
        CHECK(!fields_list(&f, "a", list, 2));
        CHECK(f.bad != NULL);
    }
    UNIT_CASE("signed");
    CHECK(parse("w a=-9223372036854775809 b=9223372036854775808 c=-3"));
    CHECK_EQ(fields_i64(&f, "a", 1, INT64_MIN, INT64_MAX), 1);
    CHECK_EQ(fields_i64(&f, "b", 2, INT64_MIN, INT64_MAX), 2);
    CHECK_EQ(fields_i64(&f, "c", 4, -2, 2), 4);
    UNIT_CASE("text");
    CHECK(parse("w a=x%00y b=longer"));
    CHECK_STR(fields_str(&f, "a", 9), "");
    CHECK_STR(fields_str(&f, "b", 5), "");
    UNIT_CASE("");
}

static void
what_is_no_record_is_refused(void)
{
    static const char *const lines[] = {"", "\n", " a=1", "W a=1", "w a",
        "w =1", "w a=1  b=2", "w A=1", "w a=%4", "w a=%zz", "w a=%", "w\ta=1",
        "w a=1 "};
    char                     many[FIELDS_OF_RECORD * 4 + 16];

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        UNIT_CASE(lines[i]);
        CHECK(!parse(lines[i]));
    }
    UNIT_CASE("");
    strcpy(many, "w");
    for (int i = 0; i < FIELDS_OF_RECORD; i++)
        strcat(many, " a=1");
    CHECK(parse(many));
    strcat(many, " b=");
    CHECK(!parse(many));
}

int
main(void)
{
    what_is_written_is_read();
    unknown_and_missing_keys_are_no_error();
    hostile_values_give_the_default_and_are_named();
    what_is_no_record_is_refused();
    return unit_done();
}
