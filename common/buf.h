/*
 * buf: a growable run of bytes with a ceiling.
 *
 * Memory comes from malloc and belongs to the buf until buf_free(). A buf
 * never holds more than `max` bytes: an append that would pass it appends
 * nothing and sets `overflow`, so a caller may build a whole text and look
 * once at the end. A zeroed struct with max set is a valid empty buf.
 *
 * All functions that return bool are false if the ceiling is reached or there
 * is no memory; then overflow is set.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char  *p;        /* bytes; NULL while cap is 0; not NUL-terminated */
    size_t len;      /* bytes in use */
    size_t cap;      /* bytes allocated */
    size_t max;      /* ceiling for cap, bytes */
    bool   overflow; /* an append did not fit since the last buf_clear() */
};

#define BUF_INIT(ceiling) ((struct buf){.max = (ceiling)})

/* buf_reserve() where cap is too small. */
bool buf_grow(struct buf *b, size_t n);
/* Appends a formatted text, whole or not at all. Needs room for one byte more
 * than the text has. */
bool buf_addf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *b, size_t n); /* drops the first n bytes */
/* Puts a NUL behind the text, which is not counted in len, and returns the
 * text; valid until the buf changes. If there is no room for the NUL, it
 * returns "", whatever the buf holds. */
char *buf_cstr(struct buf *b);
void  buf_clear(struct buf *b); /* keeps the memory */
void  buf_free(struct buf *b);  /* keeps max */

/* Room for n more bytes. Inline, as all texts are written byte by byte. */
static inline bool
buf_reserve(struct buf *b, size_t n)
{
    return n <= b->cap - b->len || buf_grow(b, n);
}

/* Append n bytes, a character or a text, whole or not at all. */
static inline bool
buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return true;
    if (!buf_reserve(b, n))
        return false;
    if (b->p == NULL)
        __builtin_unreachable(); /* for the analyzer: there is room */
    memcpy(b->p + b->len, p, n);
    b->len += n;
    return true;
}

static inline bool
buf_addc(struct buf *b, char c)
{
    if (!buf_reserve(b, 1))
        return false;
    b->p[b->len++] = c;
    return true;
}

static inline bool
buf_adds(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

#endif
