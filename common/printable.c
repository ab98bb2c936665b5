/* printable: text from outside, made safe for a terminal and the log. See
 * printable.h. */
#include "printable.h"

#include <stdint.h>
#include <string.h>

#include "utf8.h"

/* Ranges of code points that a terminal interprets, or that change the order or
 * the position of the characters around them. */
static const struct {
    uint32_t first, last;
} hidden[] = {
    {0x0000, 0x001f},   /* C0 */
    {0x007f, 0x009f},   /* DEL, C1 */
    {0x00ad, 0x00ad},   /* soft hyphen */
    {0x061c, 0x061c},   /* Arabic letter mark */
    {0x200b, 0x200f},   /* no width, direction marks */
    {0x2028, 0x202e},   /* line and paragraph separator, embedding, override */
    {0x2060, 0x206f},   /* word joiner, isolates */
    {0xfeff, 0xfeff},   /* byte order mark */
    {0xfff0, 0xfffb},   /* annotations */
    {0xe0000, 0xe0fff}, /* tags */
};

static uint32_t
code_point(const unsigned char *p, size_t len)
{
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);

    for (size_t i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

static bool
is_hidden(uint32_t c)
{
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (c >= hidden[i].first && c <= hidden[i].last)
            return true;
    return false;
}

size_t
printable_next(const char *p, size_t n, bool *good)
{
    const unsigned char *s = (const unsigned char *)p;
    size_t               len = utf8_len(s, n);

    *good = len > 0 && !is_hidden(code_point(s, len));
    return len > 0 ? len : 1;
}

size_t
printable_percent(char *out, size_t size, const char *p, size_t n)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t            at = 0, cut = 0; /* cut: where "..." still fits */

    for (size_t i = 0, len; i < n; i += len) {
        bool   good;
        size_t need;
        len = printable_next(p + i, n - i, &good);
        need = good ? len : 3 * len;
        if (at + need >= size) {
            at = cut;
            memcpy(out + at, "...", 3);
            at += 3;
            break;
        }
        for (size_t k = 0; k < len; k++) {
            unsigned char c = (unsigned char)p[i + k];
            if (good) {
                out[at++] = (char)c;
                continue;
            }
            out[at++] = '%';
            out[at++] = digits[c >> 4];
            out[at++] = digits[c & 15];
        }
        if (at + 3 < size)
            cut = at;
    }
    out[at] = '\0';
    return at;
}

bool
printable_escape(struct buf *out, const char *p, size_t n)
{
    bool   fits = true;
    size_t plain = 0; /* begin of the part that can be copied unchanged */

    for (size_t i = 0, len; i < n; i += len) {
        bool good;
        len = 1;
        if ((p[i] >= 0x20 && p[i] < 0x7f) || p[i] == '\n' || p[i] == '\t')
            continue;
        len = printable_next(p + i, n - i, &good);
        if (good)
            continue;
        const unsigned char *s = (const unsigned char *)p + i;
        fits = fits && buf_add(out, p + plain, i - plain);
        plain = i + len;
        uint32_t c = code_point(s, len);
        if (c == '\r') /* between the tokens of JSON a blank is equivalent */
            fits = fits && buf_addc(out, ' ');
        else if (utf8_len(s, n - i) == 0)
            fits = fits && buf_addc(out, '?');
        else if (c < 0x10000)
            fits = fits && buf_addf(out, "\\u%04x", (unsigned)c);
        else
            fits = fits &&
                buf_addf(out, "\\u%04x\\u%04x",
                    (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
                    (unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
    }
    return fits && buf_add(out, p + plain, n - plain);
}

void
printable_mask(char *p, size_t n)
{
    for (size_t i = 0, len; i < n; i += len) {
        bool good;
        len = printable_next(p + i, n - i, &good);
        if (!good)
            memset(p + i, '?', len);
    }
}
