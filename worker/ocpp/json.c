/*
 * json: one pass over JSON text, giving a tape of tokens. See json.h.
 *
 * The scanner allocates nothing. It is a loop with an explicit stack. Plain
 * bytes of strings are skipped eight at a time.
 */
#include "ocpp/json.h"

#include <string.h>

#include "ensure.h"
#include "json_plain.h"
#include "ocpp/json_char.h"

/* In objects up to this size, keys are compared pair by pair to find
 * duplicates. */
#define FEW_KEYS 8

struct scan {
    struct json *j;
    const uchar *base, *p, *end;
};

static void
note(struct json *j, uint64_t bit, size_t at)
{
    if (j->deviations == 0 || at < j->deviation_at)
        j->deviation_at = (uint32_t)at;
    j->deviations |= bit;
}

static bool
fail(struct scan *s, enum json_error e)
{
    s->j->error = e;
    s->j->error_at = (uint32_t)(s->p - s->base);
    s->j->count = 0;
    return false;
}

/* Skips white space. NUL bytes count as white space. */
static inline void
blank(struct scan *s)
{
    for (; s->p < s->end && *s->p <= ' '; s->p++) {
        if (*s->p == ' ' || *s->p == '\t')
            continue;
        if (*s->p == '\n' || *s->p == '\r')
            s->j->newline = true;
        else if (*s->p == '\0')
            note(s->j, DEVIATION_BIT(nul_byte), (size_t)(s->p - s->base));
        else
            return;
    }
}

/* p is at the opening quote. */
static bool
scan_string(struct scan *s)
{
    struct json_token *t = &s->j->tok[s->j->count];
    const uchar       *p = s->p + 1;
    size_t             extra = 0; /* bytes that are not characters */

    t->type = JSON_STRING;
    t->flags = 0;
    t->start = (uint32_t)(p - s->base);
    for (;;) {
        uint32_t c;
        size_t   n;

        p = json_plain_end(p, s->end);
        if (p == s->end) {
            s->p = p;
            return fail(s, JSON_ENDS_EARLY);
        }
        if (*p == '"')
            break;
        size_t at = (size_t)(p - s->base);
        if (*p == '\\') {
            t->flags |= JSON_ESCAPED;
            n = escape(p, s->end, &c);
            if (n == 0) {
                s->p = p;
                return fail(s,
                    memchr(p, '"', (size_t)(s->end - p)) == NULL
                        ? JSON_ENDS_EARLY
                        : JSON_BAD_ESCAPE);
            }
            if (c == 0)
                note(s->j, DEVIATION_BIT(nul_escape), at);
            else if (is_half(c))
                note(s->j, DEVIATION_BIT(lone_surrogate), at);
            extra += n - 1;
        } else if (*p >= 0x80) {
            n = utf8_len(p, (size_t)(s->end - p));
            if (n == 0) {
                note(s->j, DEVIATION_BIT(bad_utf8), at);
                n = 1;
            }
            extra += n - 1;
        } else {
            note(s->j,
                *p == 0 ? DEVIATION_BIT(nul_byte) : DEVIATION_BIT(control_char),
                at);
            n = 1;
        }
        p += n;
    }
    t->end = (uint32_t)(p - s->base);
    t->count = (uint32_t)(t->end - t->start - extra);
    t->next = ++s->j->count;
    s->p = p + 1;
    return true;
}

static bool
scan_number(struct scan *s)
{
    struct json_token *t = &s->j->tok[s->j->count];
    const uchar       *p = s->p;
    size_t             at = (size_t)(p - s->base), whole;
    bool               loose = false;

    t->type = JSON_NUMBER;
    t->flags = JSON_INTEGER;
    t->start = (uint32_t)at;
    t->count = 0;
    if (*p == '-' || *p == '+')
        loose = *p++ == '+';
    bool zero = p < s->end && *p == '0';
    whole = skip_digits(&p, s->end);
    if (zero && whole > 1)
        note(s->j, DEVIATION_BIT(leading_zero), at);
    size_t fraction = 0;
    if (p < s->end && *p == '.') {
        p++;
        t->flags = 0;
        fraction = skip_digits(&p, s->end);
        loose |= whole == 0 || fraction == 0;
    }
    if (whole + fraction == 0)
        return fail(s, JSON_BAD_NUMBER);
    if (p < s->end && (*p | 0x20) == 'e') {
        p++;
        t->flags = 0;
        if (p < s->end && (*p == '-' || *p == '+'))
            p++;
        if (skip_digits(&p, s->end) == 0)
            return fail(s, JSON_BAD_NUMBER);
    }
    if (loose)
        note(s->j, DEVIATION_BIT(loose_number), at);
    t->end = (uint32_t)(p - s->base);
    t->next = ++s->j->count;
    s->p = p;
    return true;
}

static bool
scan_word(struct scan *s, const char *word, size_t n, enum json_type type)
{
    struct json_token *t = &s->j->tok[s->j->count];

    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return fail(s, JSON_BAD_WORD);
    t->type = (uint8_t)type;
    t->flags = 0;
    t->count = 0;
    t->start = (uint32_t)(s->p - s->base);
    s->p += n;
    t->end = (uint32_t)(s->p - s->base);
    t->next = ++s->j->count;
    return true;
}

/*
 * Duplicate keys. While an object is open, each key sets one of 64 bits. If no
 * bit is set twice, there are no duplicates, and no more work is needed.
 * Otherwise a few keys are compared pair by pair, and many are sorted by
 * merging lists. The lists are linked through `next` of the key tokens, so they
 * need no memory, and no hash that could be attacked.
 */

static inline uint64_t
key_bit(const struct json *j, uint32_t key)
{
    const struct json_token *t = &j->tok[key];
    const uchar             *p = (const uchar *)j->text + t->start;
    uint32_t                 n = t->end - t->start, h = n * 0x9e3779b1u;

    if (n > 0)
        h += p[0] * 0x85ebca6bu + p[n - 1] * 0xc2b2ae35u +
            p[n / 2] * 0x27d4eb2fu;
    return UINT64_C(1) << (h >> 26);
}

static int
compare_strings(const struct json *j, uint32_t a, uint32_t b)
{
    const struct json_token *x = &j->tok[a], *y = &j->tok[b];

    if (((x->flags | y->flags) & JSON_ESCAPED) == 0) {
        size_t n = x->end - x->start, m = y->end - y->start;
        int r = memcmp(j->text + x->start, j->text + y->start, n < m ? n : m);
        return r != 0 ? r : (n > m) - (n < m);
    }
    struct bytes v = bytes_of(j, x), w = bytes_of(j, y);
    for (;;) {
        int c = next_byte(&v), d = next_byte(&w);
        if (c != d || c < 0)
            return c - d;
    }
}

static uint32_t
merge(struct json *j, uint32_t a, uint32_t b)
{
    uint32_t head = 0, *tail = &head;

    while (a != 0 && b != 0) {
        uint32_t *least = compare_strings(j, a, b) <= 0 ? &a : &b;
        *tail = *least;
        tail = &j->tok[*least].next;
        *least = *tail;
    }
    *tail = a != 0 ? a : b;
    return head;
}

static void
sort_for_duplicates(struct json *j, uint32_t object)
{
    uint32_t bin[33] = {0}; /* bin[i]: 0 or a sorted list of 2^i keys */
    uint32_t end = j->tok[object].next, key, after, list = 0;

    for (key = object + 1; key < end; key = after) {
        uint32_t carry = key, i = 0;
        after = j->tok[key + 1].next;
        j->tok[key].next = 0;
        for (; bin[i] != 0; bin[i++] = 0)
            carry = merge(j, bin[i], carry);
        bin[i] = carry;
    }
    for (int i = 0; i < 33; i++)
        if (bin[i] != 0)
            list = list != 0 ? merge(j, bin[i], list) : bin[i];
    for (key = list; key != 0 && (after = j->tok[key].next) != 0; key = after)
        if (compare_strings(j, key, after) == 0)
            note(j, DEVIATION_BIT(duplicate_key), j->tok[after].start);
    for (key = object + 1; key < end; key = j->tok[key + 1].next)
        j->tok[key].next = key + 1;
}

static void
find_duplicates(struct json *j, uint32_t object)
{
    uint32_t end = j->tok[object].next;

    if (j->tok[object].count > FEW_KEYS) {
        sort_for_duplicates(j, object);
        return;
    }
    for (uint32_t a = object + 1; a < end; a = j->tok[a + 1].next)
        for (uint32_t b = j->tok[a + 1].next; b < end; b = j->tok[b + 1].next)
            if (j->tok[a].count == j->tok[b].count &&
                compare_strings(j, a, b) == 0)
                note(j, DEVIATION_BIT(duplicate_key), j->tok[b].start);
}

bool
json_scan(struct json *j, const char *text, size_t len)
{
    struct {
        uint64_t seen; /* object: the bits key_bit() of its keys */
        uint32_t tok;
        bool     suspect; /* a bit was met twice, or a key has escapes */
    } stack[JSON_DEPTH_MAX + 1], *top = stack;
    struct scan s = {
        j, (const uchar *)text, (const uchar *)text, (const uchar *)text + len};
    bool good;

    ensure(j->max_depth <= JSON_DEPTH_MAX);
    j->text = text;
    j->len = (uint32_t)len;
    j->count = 0;
    j->error = JSON_OK;
    j->error_at = 0;
    j->deviations = 0;
    j->deviation_at = 0;
    j->newline = false;
    if (len >= UINT32_MAX)
        return fail(&s, JSON_TOO_LONG);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        note(j, DEVIATION_BIT(bom), 0);
        s.p += 3;
    }
    blank(&s);
    if (s.p == s.end)
        return fail(&s, JSON_EMPTY);

value:
    blank(&s);
    if (s.p == s.end)
        return fail(&s, JSON_ENDS_EARLY);
    if (j->count == j->max)
        return fail(&s, JSON_TOO_MANY_TOKENS);
    switch (*s.p) {
    case '{':
    case '[':
        if (top == stack + j->max_depth)
            return fail(&s, JSON_TOO_DEEP);
        top++;
        top->tok = j->count++;
        top->seen = 0;
        top->suspect = false;
        j->tok[top->tok] =
            (struct json_token){.start = (uint32_t)(s.p - s.base),
                .type = *s.p == '{' ? JSON_OBJECT : JSON_ARRAY};
        s.p++;
        blank(&s);
        /* In ASCII each closing bracket is its opening one plus 2. */
        if (s.p < s.end && *s.p == text[j->tok[top->tok].start] + 2)
            goto close;
        if (j->tok[top->tok].type == JSON_OBJECT)
            goto key;
        goto value;
    case '"':
        good = scan_string(&s);
        break;
    case 't':
        good = scan_word(&s, "true", 4, JSON_TRUE);
        break;
    case 'f':
        good = scan_word(&s, "false", 5, JSON_FALSE);
        break;
    case 'n':
        good = scan_word(&s, "null", 4, JSON_NULL);
        break;
    case '-':
    case '+':
    case '.':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        good = scan_number(&s);
        break;
    default:
        return fail(&s, JSON_UNEXPECTED);
    }
    if (!good)
        return false;

after_value:
    if (top == stack)
        goto done;
    j->tok[top->tok].count++;
    blank(&s);
    if (s.p == s.end)
        return fail(&s, JSON_ENDS_EARLY);
    if (j->tok[top->tok].type == JSON_OBJECT) {
        if (*s.p == '}')
            goto close;
        if (*s.p != ',')
            return fail(&s, JSON_UNEXPECTED);
        s.p++;
        goto key;
    }
    if (*s.p == ']')
        goto close;
    if (*s.p != ',')
        return fail(&s, JSON_UNEXPECTED);
    s.p++;
    goto value;

key:
    blank(&s);
    if (s.p == s.end)
        return fail(&s, JSON_ENDS_EARLY);
    if (*s.p != '"')
        return fail(&s, JSON_UNEXPECTED);
    if (j->count == j->max)
        return fail(&s, JSON_TOO_MANY_TOKENS);
    if (!scan_string(&s))
        return false;
    uint64_t bit = key_bit(j, j->count - 1);
    if ((top->seen & bit) != 0 ||
        (j->tok[j->count - 1].flags & JSON_ESCAPED) != 0)
        top->suspect = true;
    top->seen |= bit;
    blank(&s);
    if (s.p == s.end)
        return fail(&s, JSON_ENDS_EARLY);
    if (*s.p != ':')
        return fail(&s, JSON_UNEXPECTED);
    s.p++;
    goto value;

close:
    s.p++;
    j->tok[top->tok].end = (uint32_t)(s.p - s.base);
    j->tok[top->tok].next = j->count;
    if (top->suspect)
        find_duplicates(j, top->tok);
    top--;
    goto after_value;

done:
    blank(&s);
    if (s.p < s.end)
        note(j, DEVIATION_BIT(trailing_garbage), (size_t)(s.p - s.base));
    return true;
}
