/*
 * json: one pass over JSON text (RFC 8259), giving a tape of tokens.
 *
 * The text is never changed and never copied: tokens are offsets into it, so
 * the bytes of any value can be taken out exactly as they came. Nothing is
 * allocated: the caller provides an array of tokens, and may use it for any
 * number of texts. Time is linear in the length of any text (n log n for the
 * keys of one big object).
 *
 * A text that violates the grammar but can be read in only one way is read that
 * way, and the violation is noted as a deviation (deviation.def). A strict
 * caller refuses text with deviations. All other violations are errors.
 *
 * The tape lists tokens in order of the text. A key is a string token,
 * directly followed by its value:
 *
 *     {"a":[1,2],"b":true}        index  0  1  2  3  4  5  6
 *                                 type   {  a  [  1  2  b  true
 *                                 next   7  2  5  4  5  6  7
 *                                 count  2  1  2        1
 */
#ifndef WORKER_OCPP_JSON_H
#define WORKER_OCPP_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "deviation.h"

#define DEVIATION_BIT(word) (UINT64_C(1) << DEVIATION_##word)
_Static_assert(DEVIATIONS <= 64, "a set of deviations is a 64-bit word");

/* "a number has leading zeros" */
const char *deviation_sentence(enum deviation d);

enum json_type {
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

enum json_flag {
    JSON_ESCAPED = 1, /* string: has escapes, its bytes are not its value */
    JSON_INTEGER = 2, /* number: no point and no exponent in its text */
};

struct json_token {
    uint32_t start; /* offset of the value's first byte; of a string, the
                     * first byte inside the quotes */
    uint32_t end;   /* offset after its last byte; of a string, the quote */
    uint32_t next;  /* index of the token after this value and all in it */
    uint32_t count; /* members of an object, elements of an array,
                     * characters (code points) of a string */
    uint8_t type;   /* enum json_type */
    uint8_t flags;  /* enum json_flag */
};

enum json_error {
    JSON_OK,
    JSON_EMPTY,           /* nothing but white space */
    JSON_UNEXPECTED,      /* a character that is not allowed here */
    JSON_ENDS_EARLY,      /* the text ends within a value */
    JSON_BAD_ESCAPE,      /* \x, \u12 */
    JSON_BAD_NUMBER,      /* "-", "1e" */
    JSON_BAD_WORD,        /* neither true, false nor null */
    JSON_TOO_DEEP,        /* nested deeper than max_depth */
    JSON_TOO_MANY_TOKENS, /* more values than the tape holds */
    JSON_TOO_LONG,        /* 4 GiB and more */
};

#define JSON_DEPTH_MAX 64

struct json {
    /* set once by the caller */
    struct json_token *tok;       /* owned by the caller */
    uint32_t           max;       /* tokens that fit into tok */
    uint32_t           max_depth; /* limit of nesting, at most JSON_DEPTH_MAX */

    /* set by json_scan() */
    const char     *text; /* not owned; as passed */
    uint32_t        len;
    uint32_t        count; /* tokens in use; 0 after an error */
    enum json_error error;
    uint32_t        error_at;     /* offset of the error in the text */
    uint64_t        deviations;   /* set of DEVIATION_BIT() */
    uint32_t        deviation_at; /* offset of the first one */
    bool            newline;      /* a line feed or return between tokens */
};

#define JSON_INIT(tokens, n)                                                   \
    ((struct json){.tok = (tokens), .max = (n), .max_depth = JSON_DEPTH_MAX})

/* Scans text[0..len), which must not change while the tape is in use. True:
 * token 0 is the value; deviations may be set. False: error and error_at are
 * set, and there is no tape. */
bool json_scan(struct json *j, const char *text, size_t len);

/* "a character that cannot stand here" */
const char *json_error_text(enum json_error e);

/* The exact text of a value, with the quotes of a string. */
const char *json_raw(const struct json *j, uint32_t i, size_t *len);

/* The index of the value of the member `name`; 0 if there is none or
 * tok[object] is not an object. Names are compared case-sensitively, after
 * decoding escapes. If the name occurs several times, the first one counts. */
uint32_t json_member(
    const struct json *j, uint32_t object, const char *name, size_t name_len);

struct json_name {
    const char *name;
    size_t      len;
};

#define JSON_NAME(s)                                                           \
    {                                                                          \
        (s), sizeof(s) - 1                                                     \
    }

/* json_member() for several names in one pass: value[k] becomes the index of
 * the first value of names[k] that is not null; 0 if there is none. */
void json_members(const struct json *j, uint32_t object,
    const struct json_name *names, size_t n, uint32_t *value);

/* True if tok[i] is a string with exactly this value. */
bool json_equals(const struct json *j, uint32_t i, const char *s, size_t len);

/* The value of string i as UTF-8 without NUL terminator, cut at a character if
 * it does not fit into size bytes. Returns the number of bytes written; *full,
 * if not NULL, is set to true if the value was not cut. Lone surrogates and
 * bytes that are not UTF-8 become U+FFFD. Except for such bytes, which become
 * three, a value is never longer than its raw text. The sender decides what
 * stands in a place, so i may be of another type: that has no bytes, and *full
 * is false. */
size_t json_string(
    const struct json *j, uint32_t i, char *out, size_t size, bool *full);

/* Reads the number i exactly. False if its text is not an integer, or the
   integer does not fit. */
bool json_int64(const struct json *j, uint32_t i, int64_t *value);

/* Reads the number i, rounded; infinity if it is out of range. False if it is
 * not a number. */
bool json_double(const struct json *j, uint32_t i, double *value);

/* The value of [sign]digits[.digits][e[sign]digits] in p[0..end). The caller
 * has checked the form. Independent of the locale. */
double json_decimal(const char *p, const char *end);

/* Appends value i as valid JSON on one line. Its bytes are copied exactly, with
 * two exceptions. Deviations from the grammar are repaired: control characters
 * are escaped, bad UTF-8 is replaced, numbers are trimmed. If there are line
 * breaks between tokens, all white space between tokens is omitted. */
void json_put(const struct json *j, uint32_t i, struct buf *out);

#endif
