/*
 * unit: the functions that all unit tests use.
 *
 * A test is a plain program: main() calls functions full of CHECKs and
 * returns unit_done(). A test with a table sets UNIT_CASE to the current row,
 * so that a failure names it.
 */
#ifndef TEST_UNIT_UNIT_H
#define TEST_UNIT_UNIT_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static unsigned    unit_passed, unit_failed;
static const char *unit_case = "";

#define UNIT_CASE(words) (unit_case = (words))

static inline void
unit_report(int good, const char *file, int line, const char *what)
{
    if (good) {
        unit_passed++;
        return;
    }
    unit_failed++;
    fprintf(stderr, "%s:%d: failed: %s", file, line, what);
    if (unit_case[0] != '\0')
        fprintf(stderr, "\n    case: %s", unit_case);
    fputc('\n', stderr);
}

static inline void
unit_equal(
    intmax_t have, intmax_t want, const char *file, int line, const char *what)
{
    unit_report(have == want, file, line, what);
    if (have != want)
        fprintf(stderr,
            "    have %" PRIdMAX " (0x%" PRIxMAX "), want %" PRIdMAX
            " (0x%" PRIxMAX ")\n",
            have, (uintmax_t)have, want, (uintmax_t)want);
}

static inline void
unit_same(const char *have, size_t len, const char *want, const char *file,
    int line, const char *what)
{
    int good =
        have != NULL && strlen(want) == len && memcmp(have, want, len) == 0;

    unit_report(good, file, line, what);
    if (!good)
        fprintf(stderr, "    have \"%.*s\", want \"%s\"\n",
            have != NULL ? (int)len : 0, have != NULL ? have : "", want);
}

static inline void
unit_string(const char *have, const char *want, const char *file, int line,
    const char *what)
{
    unit_same(have, have != NULL ? strlen(have) : 0, want, file, line, what);
}

#define CHECK(cond) unit_report(!!(cond), __FILE__, __LINE__, #cond)
#define CHECK_EQ(have, want)                                                   \
    unit_equal((intmax_t)(have), (intmax_t)(want), __FILE__, __LINE__,         \
        #have " == " #want)
#define CHECK_STR(have, want)                                                  \
    unit_string((have), (want), __FILE__, __LINE__, #have " is " #want)
/* have: bytes without a final NUL */
#define CHECK_STRN(have, len, want)                                            \
    unit_same((have), (len), (want), __FILE__, __LINE__, #have " is " #want)

static inline int
unit_done(void)
{
    printf("%u passed, %u failed\n", unit_passed, unit_failed);
    return unit_failed != 0;
}

#endif
