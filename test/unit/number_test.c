/* number: which texts are accepted as numbers, and which are not. */
#include "number.h"

#include "unit.h"

static void
u64(const char *text, uint64_t max, bool good, uint64_t want)
{
    uint64_t v = 4711;

    CHECK(number_u64(text, strlen(text), max, &v) == good);
    CHECK(v == (good ? want : 4711));
}

static void
i64(const char *text, int64_t min, int64_t max, bool good, int64_t want)
{
    int64_t v = 4711;

    CHECK(number_i64(text, strlen(text), min, max, &v) == good);
    CHECK(v == (good ? want : 4711));
}

int
main(void)
{
    u64("0", 0, true, 0);
    u64("00000000000000000000000000042", 42, true, 42);
    u64("43", 42, false, 0);
    u64("18446744073709551615", UINT64_MAX, true, UINT64_MAX);
    u64("18446744073709551616", UINT64_MAX, false, 0);
    u64("99999999999999999999999", UINT64_MAX, false, 0);
    u64("-1", UINT64_MAX, false, 0);
    u64("+1", UINT64_MAX, false, 0);
    u64(" 1", UINT64_MAX, false, 0);
    u64("1 ", UINT64_MAX, false, 0);
    u64("0x1", UINT64_MAX, false, 0);
    u64("1.0", UINT64_MAX, false, 0);
    u64("1e3", UINT64_MAX, false, 0);
    u64("", UINT64_MAX, false, 0);
    CHECK(!number_u64("1\0002", 3, UINT64_MAX, &(uint64_t){0}));
    u64("\xb2", UINT64_MAX, false, 0);

    i64("-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN);
    i64("-9223372036854775809", INT64_MIN, INT64_MAX, false, 0);
    i64("9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX);
    i64("9223372036854775808", INT64_MIN, INT64_MAX, false, 0);
    i64("-0", 0, 1, true, 0);
    i64("-1", 0, 1, false, 0);
    i64("-1", -1, 1, true, -1);
    i64("--1", INT64_MIN, INT64_MAX, false, 0);
    i64("-", INT64_MIN, INT64_MAX, false, 0);
    i64("", INT64_MIN, INT64_MAX, false, 0);
    return unit_done();
}
