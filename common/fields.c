/* fields: a record of state as one line of text. See fields.h. */
#include "fields.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "ensure.h"
#include "hex.h"

/* --- writing --------------------------------------------------------------- */

static bool
plain(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
        (c >= 'A' && c <= 'Z') || (c != '\0' && strchr("-_.:/,@", c) != NULL);
}

static void
put_key(struct buf *out, const char *key)
{
    buf_addc(out, ' ');
    buf_adds(out, key);
    buf_addc(out, '=');
}

void
fields_begin(struct buf *out, const char *word)
{
    buf_adds(out, word);
}

void
fields_end(struct buf *out)
{
    buf_addc(out, '\n');
}

/* Writes a number without printf(), which would take most of the time of a
 * record. */
static void
put_decimal(struct buf *out, uint64_t v)
{
    char text[24], *p = text + sizeof text;

    do
        *--p = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    buf_add(out, p, (size_t)(text + sizeof text - p));
}

void
fields_put_u64(struct buf *out, const char *key, uint64_t v)
{
    put_key(out, key);
    put_decimal(out, v);
}

void
fields_put_i64(struct buf *out, const char *key, int64_t v)
{
    put_key(out, key);
    buf_addf(out, "%" PRId64, v);
}

void
fields_put_bytes(struct buf *out, const char *key, const void *p, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    const char       *s = p;

    put_key(out, key);
    for (size_t i = 0; i < len;) {
        size_t run = 0;
        while (i + run < len && plain((unsigned char)s[i + run]))
            run++;
        if (run > 0)
            buf_add(out, s + i, run);
        i += run;
        if (i < len) {
            unsigned char c = (unsigned char)s[i++];
            const char    hex[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_add(out, hex, sizeof hex);
        }
    }
}

void
fields_put_str(struct buf *out, const char *key, const char *s)
{
    fields_put_bytes(out, key, s, strlen(s));
}

void
fields_put_list(struct buf *out, const char *key, const uint64_t *v, unsigned n)
{
    put_key(out, key);
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_addc(out, ':');
        put_decimal(out, v[i]);
    }
}

/* --- reading --------------------------------------------------------------- */

/* Decodes in place: the decoded text is never longer. */
static bool
decode(char *p, size_t n, size_t *len)
{
    char *to = memchr(p, '%', n), *end = p + n;

    if (to == NULL) {
        *len = n;
        return true;
    }
    for (char *from = to; from < end;) {
        if (*from != '%') {
            *to++ = *from++;
            continue;
        }
        int high = end - from > 2 ? hex_digit(from[1]) : -1;
        int low = high >= 0 ? hex_digit(from[2]) : -1;
        if (low < 0)
            return false;
        *to++ = (char)(high << 4 | low);
        from += 3;
    }
    *len = (size_t)(to - p);
    return true;
}

static bool
is_key(const char *p, size_t n)
{
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!islower((unsigned char)p[i]) && !isdigit((unsigned char)p[i]) &&
            p[i] != '_')
            return false;
    return true;
}

bool
fields_parse(struct fields *f, char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\n')
        len--;
    char  *end = line + len;
    size_t n = 0;

    f->n = f->at = 0;
    f->bad = NULL;
    f->word = line;
    while (line + n < end && line[n] != ' ')
        n++;
    if (!is_key(line, n))
        return false;
    char *at = line + n;
    while (at < end) {
        *at++ = '\0'; /* the blank */
        char *stop = memchr(at, ' ', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        char *equals = memchr(at, '=', (size_t)(stop - at));
        if (equals == NULL || !is_key(at, (size_t)(equals - at)) ||
            f->n == FIELDS_OF_RECORD)
            return false;
        *equals = '\0';
        struct field *to = &f->of[f->n];
        to->key = at;
        to->value = equals + 1;
        if (!decode(to->value, (size_t)(stop - to->value), &to->len))
            return false;
        f->n++;
        at = stop;
    }
    *end = '\0';
    for (unsigned i = 0; i < f->n; i++)
        f->of[i].value[f->of[i].len] = '\0';
    return true;
}

/* A reader asks in the order of the writer, so the search begins after the
 * field that was found last. */
const struct field *
fields_find(struct fields *f, const char *key)
{
    for (unsigned i = 0; i < f->n; i++) {
        unsigned k = f->at + i < f->n ? f->at + i : f->at + i - f->n;
        if (f->of[k].key[0] == key[0] && strcmp(f->of[k].key, key) == 0) {
            f->at = k + 1 < f->n ? k + 1 : 0;
            return &f->of[k];
        }
    }
    return NULL;
}

static void
refuse(struct fields *f, const char *key)
{
    if (f->bad == NULL)
        f->bad = key;
}

/* Reads decimal digits without a sign. *end is set to the byte after them. */
static bool
digits(const char *p, const char **end, uint64_t *out)
{
    uint64_t v = 0;

    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            return false;
    *end = p;
    *out = v;
    return true;
}

static bool
whole(const struct field *v, const char *end)
{
    return end == v->value + v->len;
}

uint64_t
fields_u64(struct fields *f, const char *key, uint64_t otherwise, uint64_t most)
{
    const struct field *v = fields_find(f, key);
    const char         *end;
    uint64_t            n;

    if (v == NULL)
        return otherwise;
    if (digits(v->value, &end, &n) && whole(v, end) && n <= most)
        return n;
    refuse(f, key);
    return otherwise;
}

int64_t
fields_i64(struct fields *f, const char *key, int64_t otherwise, int64_t least,
    int64_t most)
{
    const struct field *v = fields_find(f, key);
    const char         *end;
    uint64_t            n;

    if (v == NULL)
        return otherwise;
    bool minus = v->value[0] == '-';
    if (digits(v->value + minus, &end, &n) && whole(v, end) &&
        n <= (uint64_t)INT64_MAX + minus) {
        int64_t i = minus ? (int64_t)(0 - n) : (int64_t)n;
        if (i >= least && i <= most)
            return i;
    }
    refuse(f, key);
    return otherwise;
}

bool
fields_bool(struct fields *f, const char *key, bool otherwise)
{
    return fields_u64(f, key, otherwise, 1) != 0;
}

const char *
fields_str(struct fields *f, const char *key, size_t most)
{
    const struct field *v = fields_find(f, key);

    if (v == NULL)
        return "";
    if (v->len <= most && strlen(v->value) == v->len)
        return v->value;
    refuse(f, key);
    return "";
}

bool
fields_list(struct fields *f, const char *key, uint64_t *out, unsigned n)
{
    const struct field *v = fields_find(f, key);
    uint64_t            numbers[FIELDS_LIST];
    const char         *p;

    ensure(n > 0 && n <= FIELDS_LIST);
    if (v == NULL)
        return false;
    p = v->value;
    for (unsigned i = 0; i < n; i++)
        if ((i > 0 && *p++ != ':') || !digits(p, &p, &numbers[i])) {
            refuse(f, key);
            return false;
        }
    if (!whole(v, p)) {
        refuse(f, key);
        return false;
    }
    memcpy(out, numbers, n * sizeof *out);
    return true;
}
