/* number: whole numbers in decimal, from outside. See number.h. */
#include "number.h"

#include <string.h>

size_t
number_digits(const char *text)
{
    return strspn(text, "0123456789");
}

bool
number_u64(const char *text, size_t len, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';
        if (digit > 9 || v > (UINT64_MAX - digit) / 10)
            return false;
        v = 10 * v + digit;
    }
    if (len == 0 || v > max)
        return false;
    *out = v;
    return true;
}

bool
number_i64(const char *text, size_t len, int64_t min, int64_t max, int64_t *out)
{
    bool     minus = len > 0 && text[0] == '-';
    uint64_t v, most = (uint64_t)INT64_MAX + minus;

    if (!number_u64(text + minus, len - minus, most, &v))
        return false;
    /* Computes -v without an overflow at INT64_MIN. */
    int64_t n = minus && v > 0 ? -(int64_t)(v - 1) - 1 : (int64_t)v;
    if (n < min || n > max)
        return false;
    *out = n;
    return true;
}
