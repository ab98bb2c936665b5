/* utf8: recognizes well-formed UTF-8 (RFC 3629 section 4). Inline, because it
   is hot. */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Length of the well-formed UTF-8 sequence that p[0..n) begins with, n > 0; 0
 * if none. */
static inline size_t
utf8_len(const unsigned char *p, size_t n)
{
    unsigned char c = p[0];

    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    size_t want = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (n < want)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ||
        (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f))
        return 0;
    return want;
}

static inline bool
utf8_is(const char *s, size_t n)
{
    for (size_t i = 0, len; i < n; i += len)
        if ((len = utf8_len((const unsigned char *)s + i, n - i)) == 0)
            return false;
    return true;
}

/* True if a well-formed text contains a control character: U+0000 to U+001F,
 * U+007F to U+009F. */
static inline bool
utf8_has_control(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x20 || c == 0x7f ||
            (c == 0xc2 && i + 1 < n && (unsigned char)s[i + 1] < 0xa0))
            return true;
    }
    return false;
}

#endif
