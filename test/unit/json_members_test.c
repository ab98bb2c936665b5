/* The members of an object are found, and shown to operators without quotes. */
#include "json_members.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

static int
same(const char *p, size_t n, const char *want)
{
    return strlen(want) == n && memcmp(p, want, n) == 0;
}

static void
members_follow_each_other(void)
{
    static const char json[] =
        "{\"a\":1,\"b\": \"x,\\\"}\" , \"c\":{\"d\":[1,{}]},"
        "\"e\":[],\"f\":null,\"g\":-1.5e3}";
    static const char *const keys[] = {"a", "b", "c", "e", "f", "g"};
    static const char *const values[] = {
        "1", "\"x,\\\"}\"", "{\"d\":[1,{}]}", "[]", "null", "-1.5e3"};
    struct json_member m;
    size_t             at = 0;

    for (int i = 0; i < 6; i++) {
        UNIT_CASE(keys[i]);
        CHECK(json_members_next(json, sizeof json - 1, &at, &m));
        CHECK(same(m.key, m.key_len, keys[i]));
        CHECK(same(m.value, m.value_len, values[i]));
    }
    UNIT_CASE("");
    CHECK(!json_members_next(json, sizeof json - 1, &at, &m));
    CHECK(json_members_find(json, sizeof json - 1, "c", &m));
    CHECK(same(m.value, m.value_len, "{\"d\":[1,{}]}"));
    CHECK(!json_members_find(json, sizeof json - 1, "d", &m));
}

/* A text that ends at any place is not read beyond its end, which the
 * sanitizers check. */
static void
cut_text_ends_the_list(void)
{
    static const char json[] =
        "{\"key\":\"v\\\"\",\"n\":{\"x\":[1,2]},\"l\":12}";

    for (size_t n = 0; n < sizeof json - 1; n++) {
        char              *copy = malloc(n + 1);
        struct json_member m;
        size_t             at = 0;
        int                found = 0;
        memcpy(copy, json, n);
        char *exact = realloc(copy, n ? n : 1);
        while (json_members_next(exact, n, &at, &m))
            found++;
        CHECK(found <= 3);
        free(exact);
    }
    static const char *const none[] = {
        "", "{}", "[1]", "{\"a\"}", "{a:1}", "\"a\"", "{\"a\":}", "  ", "{\"a"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct json_member m;
        size_t             at = 0;
        UNIT_CASE(none[i]);
        CHECK(!json_members_next(none[i], strlen(none[i]), &at, &m));
    }
    UNIT_CASE("");
}

static void
people_read_lines(void)
{
    static const char json[] =
        "{\"name\":\"a \\\"b\\\" \\u0041\\u001b\\n\\\\\",\"n\":12,"
        "\"in\":{\"x\":true},\"list\":[1,\"2\"]}";
    struct buf b = BUF_INIT(4096);

    json_members_put_lines(&b, json, sizeof json - 1, 6);
    CHECK_STR(buf_cstr(&b),
        "name   a \"b\" A\\u001b\\n\\\n"
        "n      12\n"
        "in\n"
        "  x    true\n"
        "list   [1,\"2\"]\n");
    buf_free(&b);
}

int
main(void)
{
    members_follow_each_other();
    cut_text_ends_the_list();
    people_read_lines();
    return unit_done();
}
