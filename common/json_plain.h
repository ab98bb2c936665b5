/* json_plain: the part of a text that can stand within the quotes of a JSON
 * string (RFC 8259 section 7) without a second look. Hot, hence inline. */
#ifndef COMMON_JSON_PLAIN_H
#define COMMON_JSON_PLAIN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* The first byte from p on that a string cannot simply contain: quote,
 * backslash, control character, or part of a longer UTF-8 sequence.
 */
static inline const unsigned char *
json_plain_end(const unsigned char *p, const unsigned char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = ones << 7;

    for (; end - p >= 8; p += 8) {
        uint64_t x;
        memcpy(&x, p, 8);
        x = le64toh(x);
        uint64_t quote = x ^ ones * '"', slash = x ^ ones * '\\';
        /* The top bit of a byte is set if it was set before or if the
         * subtraction went below zero. A borrow affects only bytes behind such
         * a byte, so the first hit is exact. */
        uint64_t hit =
            (x | (x - ones * 0x20) | (quote - ones) | (slash - ones)) & tops;
        if (hit != 0)
            return p + (__builtin_ctzll(hit) >> 3);
    }
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

#endif
