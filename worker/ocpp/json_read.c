/*
 * json_read: reading the tape that json.c wrote. See json.h.
 */
#include <stdlib.h>
#include <string.h>

#include "ensure.h"
#include "ocpp/json.h"
#include "ocpp/json_char.h"

/* Deviations that make the text of a value invalid JSON. The other kinds are
 * valid grammar, or are outside of any value. */
#define BREAKS_GRAMMAR                                                         \
    (DEVIATION_BIT(leading_zero) | DEVIATION_BIT(loose_number) |               \
        DEVIATION_BIT(control_char) | DEVIATION_BIT(bad_utf8) |                \
        DEVIATION_BIT(nul_byte))

static const char *const sentences[] = {
#define DEVIATION(word, sentence) sentence,
#include "deviation.def"
#undef DEVIATION
};

const char *
deviation_sentence(enum deviation d)
{
    ensure(d < DEVIATIONS);
    return sentences[d];
}

const char *
json_error_text(enum json_error e)
{
    switch (e) {
    case JSON_OK:
        return "no error";
    case JSON_EMPTY:
        return "there is no value";
    case JSON_UNEXPECTED:
        return "a character that cannot stand here";
    case JSON_ENDS_EARLY:
        return "the text ends within a value";
    case JSON_BAD_ESCAPE:
        return "an escape that JSON does not have";
    case JSON_BAD_NUMBER:
        return "a number without digits";
    case JSON_BAD_WORD:
        return "a word that JSON does not have";
    case JSON_TOO_DEEP:
        return "nested deeper than ocpp.max_depth";
    case JSON_TOO_MANY_TOKENS:
        return "too many values";
    case JSON_TOO_LONG:
        return "too long";
    }
    return "?";
}

const char *
json_raw(const struct json *j, uint32_t i, size_t *len)
{
    const struct json_token *t = &j->tok[i];
    uint32_t                 quote = t->type == JSON_STRING;

    *len = t->end - t->start + 2 * quote;
    return j->text + t->start - quote;
}

static bool __attribute__((noinline))
equals_escaped(const struct json *j, uint32_t i, const char *s, size_t len)
{
    struct bytes b = bytes_of(j, &j->tok[i]);

    for (size_t k = 0; k < len; k++)
        if (next_byte(&b) != (uchar)s[k])
            return false;
    return next_byte(&b) < 0;
}

/* Compares the first byte before calling memcmp(), because most different
   strings of the same length differ there. */
static inline bool
equals(const struct json *j, uint32_t i, const char *s, size_t len)
{
    const struct json_token *t = &j->tok[i];

    if (t->flags & JSON_ESCAPED)
        return equals_escaped(j, i, s, len);
    return t->end - t->start == len &&
        (len == 0 ||
            (j->text[t->start] == *s &&
                memcmp(j->text + t->start, s, len) == 0));
}

bool
json_equals(const struct json *j, uint32_t i, const char *s, size_t len)
{
    return j->tok[i].type == JSON_STRING && equals(j, i, s, len);
}

uint32_t
json_member(
    const struct json *j, uint32_t object, const char *name, size_t name_len)
{
    if (j->tok[object].type != JSON_OBJECT)
        return 0;
    uint32_t end = j->tok[object].next;
    for (uint32_t key = object + 1; key < end; key = j->tok[key + 1].next)
        if (equals(j, key, name, name_len))
            return key + 1;
    return 0;
}

void
json_members(const struct json *j, uint32_t object,
    const struct json_name *names, size_t n, uint32_t *value)
{
    const struct json_token *tok = j->tok;
    bool                     is_object = tok[object].type == JSON_OBJECT;
    uint32_t                 end = is_object ? tok[object].next : 0, next;

    memset(value, 0, n * sizeof *value);
    for (uint32_t key = object + 1; key < end; key = next) {
        const char *text = j->text + tok[key].start;
        size_t      len = tok[key].end - tok[key].start, k = 0;
        bool        escaped = (tok[key].flags & JSON_ESCAPED) != 0;

        next = tok[key + 1].next;
        for (; k < n; k++)
            if (escaped ? equals_escaped(j, key, names[k].name, names[k].len)
                        : names[k].len == len && *names[k].name == *text &&
                        memcmp(names[k].name, text, len) == 0)
                break;
        if (k < n && value[k] == 0 && tok[key + 1].type != JSON_NULL)
            value[k] = key + 1;
    }
}

size_t
json_string(
    const struct json *j, uint32_t i, char *out, size_t size, bool *full)
{
    const struct json_token *t = &j->tok[i];
    const uchar             *p = (const uchar *)j->text + t->start;
    const uchar             *end = (const uchar *)j->text + t->end;
    size_t                   used = 0;
    bool                     fits = t->type == JSON_STRING;

    while (fits && p < end) {
        uchar        one[4];
        const uchar *from = p;
        uint32_t     c = 0;
        size_t       n;

        if (*p == '\\') {
            p += escape(p, end, &c);
            n = utf8_put(one, is_half(c) ? 0xfffd : c);
            from = one;
        } else if ((n = utf8_len(p, (size_t)(end - p))) != 0) {
            p += n;
        } else {
            p++;
            n = utf8_put(one, 0xfffd);
            from = one;
        }
        if (n > size - used) {
            fits = false;
            break;
        }
        memcpy(out + used, from, n);
        used += n;
    }
    if (full != NULL)
        *full = fits;
    return used;
}

bool
json_int64(const struct json *j, uint32_t i, int64_t *value)
{
    const struct json_token *t = &j->tok[i];
    const char              *p = j->text + t->start;
    const char              *end = j->text + t->end;
    int64_t                  v = 0;

    if (t->type != JSON_NUMBER || (t->flags & JSON_INTEGER) == 0)
        return false;
    bool minus = *p == '-';
    for (p += minus || *p == '+'; p < end; p++) {
        int digit = *p - '0';
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, minus ? -digit : digit, &v))
            return false;
    }
    *value = v;
    return true;
}

/* The number of significant digits that are passed to strtod(). Further digits
 * change a double only in contrived cases, and a hostile number may have any
 * number of them. */
#define DIGITS_MAX 40

/* Integers of up to 15 digits, and powers of ten up to 10^22, are exact as
 * doubles. So one multiplication or division of the two rounds as strtod()
 * does, and takes a tenth of its time. */
#define SMALL_DIGITS 15
#define SMALL_POWER 22

/* text[0..out): at most SMALL_DIGITS digits, optionally after a minus. */
static double
small(const char *text, const char *out, int power)
{
    static const double tens[SMALL_POWER + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5,
        1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
        1e18, 1e19, 1e20, 1e21, 1e22};
    bool                minus = text < out && *text == '-';
    int64_t             digits = 0;

    for (text += minus; text < out; text++)
        digits = digits * 10 + (*text - '0');
    double v = power < 0 ? (double)digits / tens[-power]
                         : (double)digits * tens[power];
    return minus ? -v : v;
}

double
json_decimal(const char *p, const char *end)
{
    char    text[DIGITS_MAX + 32], *out = text;
    int64_t power = 0, e = 0;
    int     used = 0;
    bool    point = false, minus = false;

    /* The number is written without a decimal point, because the character that
     * strtod() expects depends on the locale. */
    if (*p == '-')
        *out++ = *p;
    for (p += *p == '-' || *p == '+'; p < end && (*p | 0x20) != 'e'; p++) {
        if (*p == '.') {
            point = true;
        } else if (used == 0 && *p == '0') {
            power -= point;
        } else if (used < DIGITS_MAX) {
            *out++ = *p;
            used++;
            power -= point;
        } else {
            power += !point;
        }
    }
    if (p < end) {
        minus = *++p == '-';
        for (p += minus || *p == '+'; p < end; p++)
            if (e < INT32_MAX)
                e = e * 10 + (*p - '0');
    }
    power += minus ? -e : e;
    if (used <= SMALL_DIGITS && power >= -SMALL_POWER && power <= SMALL_POWER)
        return small(text, out, (int)power);
    if (used == 0)
        *out++ = '0';
    if (power > 1000000)
        power = 1000000;
    if (power < -1000000)
        power = -1000000;
    *out++ = 'e';
    if (power < 0) {
        *out++ = '-';
        power = -power;
    }
    for (int64_t unit = 1000000; unit > 0; unit /= 10)
        *out++ = (char)('0' + power / unit % 10);
    *out = '\0';
    return strtod(text, NULL);
}

bool
json_double(const struct json *j, uint32_t i, double *value)
{
    const struct json_token *t = &j->tok[i];

    if (t->type != JSON_NUMBER)
        return false;
    *value = json_decimal(j->text + t->start, j->text + t->end);
    return true;
}

/*
 * Writing values
 */

static void
put_string(const struct json *j, const struct json_token *t, struct buf *out)
{
    const uchar *p = (const uchar *)j->text + t->start;
    const uchar *end = (const uchar *)j->text + t->end, *from = p;

    buf_addc(out, '"');
    while (p < end) {
        size_t n = utf8_len(p, (size_t)(end - p));
        if (n > 0 && *p >= 0x20) {
            p += n;
            continue;
        }
        buf_add(out, from, (size_t)(p - from));
        if (n > 0)
            buf_addf(out, "\\u%04x", *p);
        else
            buf_adds(out, "\xef\xbf\xbd"); /* U+FFFD */
        from = ++p;
    }
    buf_add(out, from, (size_t)(p - from));
    buf_addc(out, '"');
}

static void
put_number(const struct json *j, const struct json_token *t, struct buf *out)
{
    const uchar *p = (const uchar *)j->text + t->start;
    const uchar *end = (const uchar *)j->text + t->end;

    if (*p == '-')
        buf_addc(out, '-');
    p += *p == '-' || *p == '+';
    while (end - p > 1 && *p == '0' && (uchar)(p[1] - '0') < 10)
        p++;
    if (*p == '.')
        buf_addc(out, '0');
    const uchar *from = p;
    skip_digits(&p, end);
    if (p < end && *p == '.') {
        p++;
        size_t fraction = skip_digits(&p, end);
        buf_add(out, from, (size_t)(p - from));
        if (fraction == 0)
            buf_addc(out, '0');
        from = p;
    }
    buf_add(out, from, (size_t)(end - from));
}

static void
put_repaired(const struct json *j, uint32_t i, struct buf *out)
{
    const struct json_token *t = &j->tok[i];

    switch (t->type) {
    case JSON_OBJECT:
        buf_addc(out, '{');
        for (uint32_t key = i + 1; key < t->next; key = j->tok[key + 1].next) {
            if (key > i + 1)
                buf_addc(out, ',');
            put_string(j, &j->tok[key], out);
            buf_addc(out, ':');
            put_repaired(j, key + 1, out);
        }
        buf_addc(out, '}');
        break;
    case JSON_ARRAY:
        buf_addc(out, '[');
        for (uint32_t e = i + 1; e < t->next; e = j->tok[e].next) {
            if (e > i + 1)
                buf_addc(out, ',');
            put_repaired(j, e, out);
        }
        buf_addc(out, ']');
        break;
    case JSON_STRING:
        put_string(j, t, out);
        break;
    case JSON_NUMBER:
        put_number(j, t, out);
        break;
    default:
        buf_add(out, j->text + t->start, t->end - t->start);
    }
}

void
json_put(const struct json *j, uint32_t i, struct buf *out)
{
    size_t      len;
    const char *raw = json_raw(j, i, &len);

    if ((j->deviations & BREAKS_GRAMMAR) == 0 && !j->newline)
        buf_add(out, raw, len);
    else
        put_repaired(j, i, out);
}
