/* jsonspan: finds the values of a JSON text. See jsonspan.h. */
#include "jsonspan.h"

#include <string.h>

#define DEPTH_MAX 64

static const char *
blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* p is after the opening quote. Returns the closing one, or NULL. */
static const char *
string_end(const char *p, const char *end)
{
    for (; p < end; p++) {
        if (*p == '"')
            return p;
        if (*p == '\\')
            p++;
    }
    return NULL;
}

/* p is on the first byte of a value. Returns the byte after it, or NULL. */
static const char *
value_end(const char *p, const char *end)
{
    char     open[DEPTH_MAX];
    unsigned depth = 0;

    if (p == end)
        return NULL;
    if (*p != '{' && *p != '[' && *p != '"') {
        const char *start = p;
        while (p < end && strchr(",]} \t\r\n", *p) == NULL)
            p++;
        return p == start ? NULL : p;
    }
    for (; p < end; p++) {
        if (*p == '"') {
            p = string_end(p + 1, end);
            if (p == NULL)
                return NULL;
        } else if (*p == '{' || *p == '[') {
            if (depth == DEPTH_MAX)
                return NULL;
            open[depth++] = *p;
        } else if (*p == '}' || *p == ']') {
            if (depth == 0 || open[--depth] != (*p == '}' ? '{' : '['))
                return NULL;
        }
        if (depth == 0)
            return p + 1;
    }
    return NULL;
}

bool
jsonspan_begin(struct jsonspan *j, struct span text, char brace)
{
    const char *end = text.p + text.n;
    const char *p = blanks(text.p, end);

    *j = (struct jsonspan){.p = p, .end = end, .brace = brace, .first = true};
    if (p == end || *p != brace)
        return false;
    j->p++;
    return true;
}

static bool
broken(struct jsonspan *j)
{
    j->bad = true;
    return false;
}

bool
jsonspan_next(struct jsonspan *j, struct span *key, struct span *value)
{
    const char *p = blanks(j->p, j->end);

    if (j->bad || p == j->end)
        return broken(j);
    if (*p == (j->brace == '{' ? '}' : ']')) {
        j->p = p;
        return false;
    }
    if (!j->first) {
        if (*p != ',')
            return broken(j);
        p = blanks(p + 1, j->end);
    }
    j->first = false;
    if (j->brace == '{') {
        if (p == j->end || *p != '"')
            return broken(j);
        const char *q = string_end(p + 1, j->end);
        if (q == NULL)
            return broken(j);
        *key = (struct span){p + 1, (size_t)(q - p - 1)};
        p = blanks(q + 1, j->end);
        if (p == j->end || *p != ':')
            return broken(j);
        p = blanks(p + 1, j->end);
    }
    const char *q = value_end(p, j->end);
    if (q == NULL)
        return broken(j);
    *value = (struct span){p, (size_t)(q - p)};
    j->p = q;
    return true;
}

bool
jsonspan_ended(const struct jsonspan *j)
{
    return !j->bad && j->p < j->end && blanks(j->p + 1, j->end) == j->end;
}

bool
jsonspan_member(struct span object, const char *key, struct span *value)
{
    struct jsonspan j;
    struct span     k, v;

    if (!jsonspan_begin(&j, object, '{'))
        return false;
    while (jsonspan_next(&j, &k, &v)) {
        if (span_is(k, key)) {
            *value = v;
            return true;
        }
    }
    return false;
}

bool
jsonspan_string(struct span value, struct span *inside)
{
    if (value.n < 2 || value.p[0] != '"')
        return false;
    *inside = (struct span){value.p + 1, value.n - 2};
    return true;
}

bool
jsonspan_int(struct span value, int64_t *number)
{
    size_t  i = value.n > 0 && value.p[0] == '-';
    int64_t v = 0;

    if (i == value.n || value.n - i > 18)
        return false;
    for (; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return false;
        v = v * 10 + (value.p[i] - '0');
    }
    *number = value.p[0] == '-' ? -v : v;
    return true;
}

bool
span_is(struct span s, const char *text)
{
    return strlen(text) == s.n && memcmp(s.p, text, s.n) == 0;
}

bool
jsonspan_frame(struct jsonspan_frame *f, const char *p, size_t n)
{
    struct jsonspan j;
    struct span     v;
    int64_t         type;

    *f = (struct jsonspan_frame){0};
    if (!jsonspan_begin(&j, (struct span){p, n}, '[') ||
        !jsonspan_next(&j, NULL, &v) || !jsonspan_int(v, &type) ||
        !jsonspan_next(&j, NULL, &v) || !jsonspan_string(v, &f->id))
        return false;
    f->type = (int)type;
    while (f->count < 3 && jsonspan_next(&j, NULL, &v))
        f->rest[f->count++] = v;
    return !jsonspan_next(&j, NULL, &v) && jsonspan_ended(&j);
}
