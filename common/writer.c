/* writer: JSON text, appended to a buf. See writer.h. */
#include "writer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ensure.h"
#include "json_plain.h"
#include "utf8.h"

/* Writes a character that needs an escape within quotes. */
static void
put_escaped(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        buf_adds(out, "\\\"");
        break;
    case '\\':
        buf_adds(out, "\\\\");
        break;
    case '\n':
        buf_adds(out, "\\n");
        break;
    case '\r':
        buf_adds(out, "\\r");
        break;
    case '\t':
        buf_adds(out, "\\t");
        break;
    default:
        if (c < 0x80)
            buf_addf(out, "\\u%04x", c);
        else
            buf_adds(out, "\xef\xbf\xbd"); /* U+FFFD */
    }
}

void
writer_quote(struct buf *out, const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s, *end = p + n;

    /* The usual case: keys, times and words need no escape. */
    if (json_plain_end(p, end) == end && buf_reserve(out, n + 2)) {
        char *to = out->p + out->len;
        to[0] = '"';
        if (n > 0)
            memcpy(to + 1, s, n);
        to[n + 1] = '"';
        out->len += n + 2;
        return;
    }
    buf_addc(out, '"');
    while (p < end) {
        size_t len = (size_t)(json_plain_end(p, end) - p);
        if (len == 0 && *p >= 0x80)
            len = utf8_len(p, (size_t)(end - p));
        if (len > 0) {
            buf_add(out, p, len);
        } else {
            put_escaped(out, *p);
            len = 1;
        }
        p += len;
    }
    buf_addc(out, '"');
}

void
writer_lead(struct writer *w, const char *key, size_t n)
{
    uint32_t bit = 1u << w->depth;

    if (!buf_reserve(w->out, n + 4))
        return;
    char *to = w->out->p + w->out->len;
    if (w->more & bit)
        *to++ = ',';
    w->more |= bit;
    if (key != NULL) {
        *to++ = '"';
        to = (char *)memcpy(to, key, n) + n;
        *to++ = '"';
        *to++ = ':';
    }
    w->out->len = (size_t)(to - w->out->p);
}

static void
lead(struct writer *w, const char *key)
{
    writer_lead(w, key, key != NULL ? strlen(key) : 0);
}

void
writer_open(struct writer *w, const char *key, char brace)
{
    lead(w, key);
    buf_addc(w->out, brace);
    ensure(w->depth < 31);
    w->depth++;
    w->more &= ~(1u << w->depth);
    if (brace == '[')
        w->array |= 1u << w->depth;
    else
        w->array &= ~(1u << w->depth);
}

void
writer_close(struct writer *w)
{
    ensure(w->depth > 0);
    buf_addc(w->out, w->array & (1u << w->depth) ? ']' : '}');
    w->depth--;
}

void
writer_u64(struct writer *w, const char *key, uint64_t v)
{
    char  digits[20];
    char *p = digits + sizeof digits;

    lead(w, key);
    do
        *--p = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    buf_add(w->out, p, (size_t)(digits + sizeof digits - p));
}

void
writer_i64(struct writer *w, const char *key, int64_t v)
{
    lead(w, key);
    buf_addf(w->out, "%" PRId64, v);
}

void
writer_f64(struct writer *w, const char *key, double v)
{
    lead(w, key);
    if (isfinite(v))
        buf_addf(w->out, "%.6g", v);
    else
        buf_adds(w->out, "null");
}

void
writer_bool(struct writer *w, const char *key, bool v)
{
    lead(w, key);
    buf_adds(w->out, v ? "true" : "false");
}

void
writer_null(struct writer *w, const char *key)
{
    lead(w, key);
    buf_adds(w->out, "null");
}
