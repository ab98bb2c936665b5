/* base64: RFC 4648 section 4. See base64.h. */
#include "base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "abcdefghijklmnopqrstuvwxyz0123456789+/";

static int
value(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A'
        : c >= 'a' && c <= 'z'  ? c - 'a' + 26
        : c >= '0' && c <= '9'  ? c - '0' + 52
        : c == '+'              ? 62
        : c == '/'              ? 63
                                : -1;
}

bool
base64_decode(const char *p, size_t n, uint8_t *out, size_t *len)
{
    uint32_t bits = 0;
    unsigned have = 0, seen = 0, padding = 0;

    *len = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == ' ' || (p[i] >= '\t' && p[i] <= '\r'))
            continue;
        if (p[i] == '=') {
            padding++;
            continue;
        }
        int v = value(p[i]);
        if (v < 0 || padding > 0)
            return false;
        bits = (bits << 6 | (uint32_t)v) & 0xffffff;
        have += 6;
        seen = (seen + 1) % 4;
        if (have >= 8) {
            have -= 8;
            out[(*len)++] = (uint8_t)(bits >> have);
        }
    }
    bool whole = padding == 0 || (seen + padding) % 4 == 0;
    return seen != 1 && padding <= 2 && whole &&
        (bits & ((1u << have) - 1)) == 0;
}

void
base64_encode(const void *p, size_t n, char *out)
{
    const uint8_t *from = p;

    for (; n > 0; from += 3) {
        uint32_t v = (uint32_t)from[0] << 16 |
            (n > 1 ? (uint32_t)from[1] << 8 : 0) | (n > 2 ? from[2] : 0u);
        *out++ = digits[v >> 18];
        *out++ = digits[v >> 12 & 63];
        *out++ = (char)(n > 1 ? digits[v >> 6 & 63] : '=');
        *out++ = (char)(n > 2 ? digits[v & 63] : '=');
        n -= n < 3 ? n : 3;
    }
    *out = '\0';
}
