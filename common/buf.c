/* buf: a growable run of bytes with a ceiling. See buf.h. */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
buf_grow(struct buf *b, size_t n)
{
    if (n > b->max || b->len > b->max - n) {
        b->overflow = true;
        return false;
    }
    size_t need = b->len + n;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 256;
    while (cap < need)
        cap *= 2;
    if (cap > b->max)
        cap = b->max;
    char *p = realloc(b->p, cap);
    if (p == NULL) {
        b->overflow = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

bool
buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    /* vsnprintf() needs room for a NUL, which len does not count. */
    if (n < 0 || !buf_reserve(b, (size_t)n + 1)) {
        b->overflow = true;
        return false;
    }
    va_start(ap, fmt);
    vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
    return true;
}

void
buf_consume(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->p, b->p + n, b->len - n);
    b->len -= n;
}

char *
buf_cstr(struct buf *b)
{
    static char empty[1];

    if (!buf_reserve(b, 1))
        return empty;
    b->p[b->len] = '\0';
    return b->p;
}

void
buf_clear(struct buf *b)
{
    b->len = 0;
    b->overflow = false;
}

void
buf_free(struct buf *b)
{
    free(b->p);
    *b = BUF_INIT(b->max);
}
