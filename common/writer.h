/*
 * writer: JSON text, appended to a buf.
 *
 * The writer places the commas: the output is compact JSON in the order of the
 * calls. Keys are words of the program, which need no escapes. Strings are
 * escaped as RFC 8259 section 7 requires, and bytes that are not UTF-8 become
 * U+FFFD. So the output is always valid, unless out->overflow is set at the
 * end. At most 31 levels can be nested; a further one aborts the process
 * (ensure.h).
 */
#ifndef COMMON_WRITER_H
#define COMMON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "buf.h"

struct writer {
    struct buf *out;
    uint32_t    more;  /* bit d: a member was written at depth d */
    uint32_t    array; /* bit d: depth d is an array */
    unsigned    depth;
};

#define WRITER_INIT(b) ((struct writer){.out = (b)})

/* In an object every value has a key; in an array (and at the top) key is
 * NULL. */
void writer_open(struct writer *w, const char *key, char brace); /* { or [ */
void writer_close(struct writer *w);
void writer_u64(struct writer *w, const char *key, uint64_t v);
void writer_i64(struct writer *w, const char *key, int64_t v);
/* %.6g; null for an infinity or no number. */
void writer_f64(struct writer *w, const char *key, double v);
void writer_bool(struct writer *w, const char *key, bool v);
void writer_null(struct writer *w, const char *key);

/* The escaped, quoted form of one string, without a writer. */
void writer_quote(struct buf *out, const char *s, size_t n);

/* Writes what precedes a value: a comma if needed, and the key of len bytes. */
void writer_lead(struct writer *w, const char *key, size_t len);

/* The three functions below are inline because they write nearly all members of
 * an event, and then the compiler knows the length of a literal key. */
static inline void
writer_strn(struct writer *w, const char *key, const char *s, size_t n)
{
    writer_lead(w, key, key != NULL ? strlen(key) : 0);
    writer_quote(w->out, s, n);
}

static inline void
writer_str(struct writer *w, const char *key, const char *s)
{
    writer_strn(w, key, s, strlen(s));
}

/* Writes a value that is JSON already, byte for byte, unchecked. */
static inline void
writer_raw(struct writer *w, const char *key, const char *raw, size_t n)
{
    writer_lead(w, key, key != NULL ? strlen(key) : 0);
    buf_add(w->out, raw, n);
}

#endif
