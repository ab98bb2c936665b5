/*
 * fields: a record of state as one line of text, for another program version.
 *
 *   word key=value key=value ...\n
 *
 * The processes of two program versions hand their state over in such lines. A
 * reader asks for its own keys: others are ignored, and a missing key gives the
 * default. So both an older and a newer program can read a record. A value is
 * any bytes; every byte except letters, digits and -_.:/,@ is written as %XX. A
 * key is made of a-z, 0-9 and _.
 *
 * Every number is checked as input from outside: one that is malformed or out
 * of range gives the default and marks the record as bad. Pure.
 */
#ifndef COMMON_FIELDS_H
#define COMMON_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* Keys of one record; a line with more is refused. */
#define FIELDS_OF_RECORD 192

struct field {
    const char *key;
    char       *value; /* decoded; a NUL follows its len bytes */
    size_t      len;
};

struct fields {
    const char  *word;
    unsigned     n;
    unsigned     at;  /* where the next look-up begins */
    const char  *bad; /* the first key whose value was refused; NULL */
    struct field of[FIELDS_OF_RECORD];
};

/* --- writing: each appends to *out; out->overflow shows at the end whether all
 * fitted. ------ */

/* The word of the record, and one field each. */
void fields_begin(struct buf *out, const char *word);
void fields_put_u64(struct buf *out, const char *key, uint64_t v);
void fields_put_i64(struct buf *out, const char *key, int64_t v);
void fields_put_bytes(
    struct buf *out, const char *key, const void *p, size_t len);
void fields_put_str(struct buf *out, const char *key, const char *s);
/* n numbers as one value, with ':' between them. */
void fields_put_list(
    struct buf *out, const char *key, const uint64_t *v, unsigned n);
/* Ends the record with a newline. */
void fields_end(struct buf *out);

/* --- reading --------------------------------------------------------------- */

/* Splits a line of len bytes in place, with or without its newline. The byte
 * after the line is overwritten. *f points into the line. False if the line is
 * not a record.
 */
bool fields_parse(struct fields *f, char *line, size_t len);

/* The field with this key, NULL if there is none. If a key is repeated, the
 * first one counts.
 */
const struct field *fields_find(struct fields *f, const char *key);

/* The number or truth value; `otherwise` if the key is missing or the value is
 * malformed or out of range. */
uint64_t fields_u64(
    struct fields *f, const char *key, uint64_t otherwise, uint64_t most);
int64_t fields_i64(struct fields *f, const char *key, int64_t otherwise,
    int64_t least, int64_t most);
bool    fields_bool(struct fields *f, const char *key, bool otherwise);
/* The text, "" if it is missing; it stays valid as long as the line. A value
 * with a NUL in it, or longer than most, counts as malformed. */
const char *fields_str(struct fields *f, const char *key, size_t most);
/* Exactly n numbers. False if the key is missing or the value malformed; then
 * out is unchanged. n: at most FIELDS_LIST. */
#define FIELDS_LIST 64
bool fields_list(struct fields *f, const char *key, uint64_t *out, unsigned n);

#endif
