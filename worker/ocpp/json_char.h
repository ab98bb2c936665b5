/*
 * json_char: characters of JSON strings, shared by json.c and json_read.c.
 *
 * Small and hot, hence inline.
 */
#ifndef WORKER_OCPP_JSON_CHAR_H
#define WORKER_OCPP_JSON_CHAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ocpp/json.h"
#include "utf8.h"

typedef unsigned char uchar;

/* Writes a code point as UTF-8, half surrogates too; at most 4 bytes. */
static inline size_t
utf8_put(uchar *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uchar)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uchar)(0xc0 | c >> 6);
        out[1] = (uchar)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uchar)(0xe0 | c >> 12);
        out[1] = (uchar)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uchar)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uchar)(0xf0 | c >> 18);
    out[1] = (uchar)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uchar)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uchar)(0x80 | (c & 0x3f));
    return 4;
}

/* Four hexadecimal digits, or a value above 0xffff. */
static inline uint32_t
hex4(const uchar *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        uchar c = p[i];
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return UINT32_MAX;
    }
    return v;
}

static inline bool
is_half(uint32_t c)
{
    return c >= 0xd800 && c <= 0xdfff;
}

/* Reads the escape at p (a backslash). Returns its length in bytes, 0 if it is
 * not a valid escape, or the text ends within it. A lone surrogate is stored in
 * *c as it is. */
static inline size_t
escape(const uchar *p, const uchar *end, uint32_t *c)
{
    size_t n = (size_t)(end - p);

    if (n < 2)
        return 0;
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
        *c = p[1];
        return 2;
    case 'b':
        *c = '\b';
        return 2;
    case 'f':
        *c = '\f';
        return 2;
    case 'n':
        *c = '\n';
        return 2;
    case 'r':
        *c = '\r';
        return 2;
    case 't':
        *c = '\t';
        return 2;
    case 'u':
        break;
    default:
        return 0;
    }
    if (n < 6 || (*c = hex4(p + 2)) > 0xffff)
        return 0;
    if (*c >= 0xd800 && *c <= 0xdbff && n >= 12 && p[6] == '\\' &&
        p[7] == 'u') {
        uint32_t low = hex4(p + 8);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
            return 12;
        }
    }
    return 6;
}

/* Iterates over the bytes of a string's value, in order to compare strings that
 * may have escapes. Bad bytes and lone surrogates are not replaced, so that all
 * strings have one order. */
struct bytes {
    const uchar *p, *end;
    uchar        held[4]; /* bytes of a decoded escape */
    size_t       at, n;
};

static inline struct bytes
bytes_of(const struct json *j, const struct json_token *t)
{
    return (struct bytes){.p = (const uchar *)j->text + t->start,
        .end = (const uchar *)j->text + t->end};
}

static inline int
next_byte(struct bytes *b)
{
    uint32_t c = 0;

    if (b->at < b->n)
        return b->held[b->at++];
    if (b->p == b->end)
        return -1;
    if (*b->p != '\\')
        return *b->p++;
    b->p += escape(b->p, b->end, &c);
    b->n = utf8_put(b->held, c);
    b->at = 1;
    return b->held[0];
}
/* Moves *p past digits and returns their number. */
static inline size_t
skip_digits(const uchar **p, const uchar *end)
{
    const uchar *from = *p;

    while (*p < end && (uchar)(**p - '0') < 10)
        ++*p;
    return (size_t)(*p - from);
}

#endif
