/* secrets: hides the secrets in messages. See secrets.h. */
#include "ocpp/secrets.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ocpp/tape.h"

#define HIDDEN "***"
/* Bytes of a variable's name; longer names count as secrets. */
#define NAME_MAX_BYTES 256

enum kind { ALWAYS, WITH, OF, LOGIN, PEM };

static const struct field {
    const char *name;
    enum kind   kind;
    const char *other;
} fields[] = {
#define SECRET_NAME(pattern)
#define SECRET_FIELD(name, kind, other) {name, kind, other},
#include "ocpp_secrets.def"
#undef SECRET_NAME
#undef SECRET_FIELD
};

static const char *const patterns[] = {
#define SECRET_NAME(pattern) pattern,
#define SECRET_FIELD(name, kind, other)
#include "ocpp_secrets.def"
#undef SECRET_NAME
#undef SECRET_FIELD
};

#define FIELDS (sizeof fields / sizeof fields[0])
#define PATTERNS (sizeof patterns / sizeof patterns[0])

static const char private_key[] = "PRIVATE KEY";

bool
secrets_is_field(const char *name, size_t len)
{
    for (size_t k = 0; k < FIELDS; k++)
        if (strlen(fields[k].name) == len &&
            memcmp(fields[k].name, name, len) == 0)
            return true;
    return false;
}

/* --- names of variables -------------------------------------------------- */

/* The names of 1.6 are compared without regard to case. */
static bool
equal(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (tolower((unsigned char)a[i]) != tolower((unsigned char)b[i]))
            return false;
    return true;
}

static bool
is_secret_name(const struct json *j, uint32_t i)
{
    char   name[NAME_MAX_BYTES];
    size_t n;
    bool   full;

    if (j->tok[i].type != JSON_STRING)
        return false;
    n = json_string(j, i, name, sizeof name, &full);
    if (!full)
        return true;
    while (n > 0 && name[n - 1] == ' ')
        n--;
    for (size_t k = 0; k < PATTERNS; k++) {
        const char *p = patterns[k];
        bool        suffix = *p == '*';
        size_t      len = strlen(p += suffix);
        if (suffix ? n >= len && equal(name + n - len, p, len)
                   : n == len && equal(name, p, len))
            return true;
    }
    return false;
}

/* True if a member of the object that OF refers to names a secret. */
static bool
names_secret(const struct json *j, uint32_t object)
{
    for (uint32_t k = object + 1; k < j->tok[object].next;
         k = j->tok[k + 1].next) {
        bool names = false;
        for (size_t f = 0; f < FIELDS && !names; f++)
            names = fields[f].kind == OF &&
                json_equals(j, k, fields[f].other, strlen(fields[f].other));
        if (!names)
            continue;
        uint32_t name = k + 1;
        if (j->tok[name].type == JSON_OBJECT)
            name = json_member(j, name, "name", 4);
        if (name != 0 && is_secret_name(j, name))
            return true;
    }
    return false;
}

/* --- values -------------------------------------------------------------- */

/* The password in `scheme://user:password@host`: offsets in text. */
static bool
find_password(const char *text, size_t len, size_t *begin, size_t *end)
{
    const char *authority = text, *last = text + len;

    while ((authority = memmem(
                authority, (size_t)(last - authority), "://", 3)) != NULL) {
        const char *at = NULL, *colon;
        authority += 3;
        for (const char *p = authority; p < last && strchr("/?#\"", *p) == NULL;
             p++)
            if (*p == '@')
                at = p;
        colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
        if (colon == NULL)
            continue;
        *begin = (size_t)(colon + 1 - text);
        *end = (size_t)(at - text);
        return true;
    }
    return false;
}

/* True if the value of string i contains such a password or a private key. */
static bool
holds_secret(const struct json *j, uint32_t i)
{
    size_t      len, begin, end;
    const char *text = json_raw(j, i, &len);
    char       *value = NULL;

    if (j->tok[i].flags & JSON_ESCAPED) {
        if ((value = malloc(len)) == NULL)
            return true;
        len = json_string(j, i, value, len, NULL);
        text = value;
    }
    bool holds =
        memmem(text, len, private_key, sizeof private_key - 1) != NULL ||
        find_password(text, len, &begin, &end);
    free(value);
    return holds;
}

/* Writes a string whose name does not make it a secret, without the secrets in
 * it. True if there was one. out may be NULL. */
static bool
put_string(const struct json *j, uint32_t i, struct buf *out)
{
    size_t      len, begin, end;
    const char *raw = json_raw(j, i, &len);

    if (!holds_secret(j, i)) {
        if (out != NULL)
            json_put(j, i, out);
        return false;
    }
    if (out == NULL)
        return true;
    /* In a plain URI only the password is replaced. */
    if (!(j->tok[i].flags & JSON_ESCAPED) && j->deviations == 0 &&
        find_password(raw, len, &begin, &end) &&
        memmem(raw + end, len - end, "://", 3) == NULL &&
        memmem(raw, len, private_key, sizeof private_key - 1) == NULL) {
        buf_add(out, raw, begin);
        buf_adds(out, HIDDEN);
        buf_add(out, raw + end, len - end);
    } else {
        buf_adds(out, "\"" HIDDEN "\"");
    }
    return true;
}

/* True if the whole value of key k of the object is a secret. */
static bool
is_secret(const struct json *j, uint32_t object, uint32_t k, bool named)
{
    if (j->tok[k + 1].type == JSON_NULL)
        return false;
    for (size_t f = 0; f < FIELDS; f++) {
        const struct field *row = &fields[f];
        if (row->kind > OF || !json_equals(j, k, row->name, strlen(row->name)))
            continue;
        if (row->kind == ALWAYS || (row->kind == OF && named) ||
            (row->kind == WITH &&
                json_member(j, object, row->other, strlen(row->other)) != 0))
            return true;
    }
    return false;
}

/* Writes a value without its secrets; with out NULL nothing is written. named:
 * an object around this value names a secret. True if there is a secret. */
static bool
walk(const struct json *j, uint32_t i, bool named, struct buf *out)
{
    bool any = false, object = j->tok[i].type == JSON_OBJECT;

    if (j->tok[i].type == JSON_STRING)
        return put_string(j, i, out);
    if (!object && j->tok[i].type != JSON_ARRAY) {
        if (out != NULL)
            json_put(j, i, out);
        return false;
    }
    named = named || (object && names_secret(j, i));
    if (out != NULL)
        buf_addc(out, object ? '{' : '[');
    for (uint32_t k = i + 1; k < j->tok[i].next;) {
        uint32_t value = k + object;
        if (out != NULL && k != i + 1)
            buf_addc(out, ',');
        if (out != NULL && object) {
            json_put(j, k, out);
            buf_addc(out, ':');
        }
        if (object && is_secret(j, i, k, named)) {
            any = true;
            if (out != NULL)
                buf_adds(out, "\"" HIDDEN "\"");
        } else {
            any |= walk(j, value, named, out);
        }
        if (any && out == NULL)
            return true;
        k = j->tok[value].next;
    }
    if (out != NULL)
        buf_addc(out, object ? '}' : ']');
    return any;
}

void
secrets_put(const struct json *j, uint32_t i, struct buf *out)
{
    if (walk(j, i, false, NULL))
        walk(j, i, false, out);
    else
        json_put(j, i, out);
}

/* --- whole frames -------------------------------------------------------- */

/* The offset after the first occurrence of word in text; len if there is
 * none. */
static size_t
find(const char *text, size_t len, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= len; i++)
        if (equal(text + i, word, n))
            return i + n;
    return len;
}

static size_t
nearer(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The offset at which text that is not JSON may contain the first secret. */
static size_t
first_word(const char *text, size_t len)
{
    size_t at = find(text, len, private_key), begin, end;

    for (size_t k = 0; k < FIELDS; k++)
        if (fields[k].kind == ALWAYS)
            at = nearer(at, find(text, len, fields[k].name));
    for (size_t k = 0; k < PATTERNS; k++)
        at = nearer(at, find(text, len, patterns[k] + (*patterns[k] == '*')));
    if (find_password(text, len, &begin, &end))
        at = nearer(at, begin);
    return at;
}

void
secrets_put_frame(struct buf *out, const char *text, size_t len, size_t max)
{
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    bool         good = json_scan(tape, text, len);

    /* A frame without secrets keeps its bytes, even if they violate the
     * grammar. */
    if (good && walk(tape, 0, false, NULL)) {
        walk(tape, 0, false, out);
    } else {
        size_t at = good ? len : first_word(text, len);
        buf_add(out, text, at < max ? at : max);
        if (at < max && at < len)
            buf_adds(out, HIDDEN);
    }
    tape_return(tape);
}
