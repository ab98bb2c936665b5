/* json_members: the members of one JSON object. See json_members.h. */
#include "json_members.h"

#include <string.h>

static size_t
skip_blanks(const char *s, size_t len, size_t i)
{
    while (i < len && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' ||
               s[i] == '\r'))
        i++;
    return i;
}

/* i is at the opening quote; returns what follows the closing one, or len. */
static size_t
skip_string(const char *s, size_t len, size_t i)
{
    for (i++; i < len && s[i] != '"'; i++)
        if (s[i] == '\\')
            i++;
    return i < len ? i + 1 : len;
}

static size_t
skip_value(const char *s, size_t len, size_t i)
{
    unsigned depth = 0;

    while (i < len) {
        switch (s[i]) {
        case '"':
            i = skip_string(s, len, i);
            break;
        case '{':
        case '[':
            depth++;
            i++;
            break;
        case '}':
        case ']':
            if (depth == 0)
                return i; /* the end of what holds a number */
            depth--;
            i++;
            break;
        default:
            if (depth == 0 && (s[i] == ',' || s[i] == ' ' || s[i] == '\n'))
                return i;
            i++;
            continue;
        }
        if (depth == 0)
            return i;
    }
    return len;
}

bool
json_next_member(const char *s, size_t len, size_t *at, struct json_member *m)
{
    size_t i = skip_blanks(s, len, *at);

    if (i < len && s[i] == (*at == 0 ? '{' : ','))
        i = skip_blanks(s, len, i + 1);
    else
        return false;
    if (i >= len || s[i] != '"')
        return false;
    size_t end = skip_string(s, len, i);
    m->key = s + i + 1;
    m->key_len = end - i - 2;
    if (end >= len || end < i + 2)
        return false;
    i = skip_blanks(s, len, end);
    if (i >= len || s[i] != ':')
        return false;
    i = skip_blanks(s, len, i + 1);
    end = skip_value(s, len, i);
    if (end == i)
        return false;
    m->value = s + i;
    m->value_len = end - i;
    *at = end;
    return true;
}

bool
json_find_member(const char *s, size_t len, const char *key,
    struct json_member *m)
{
    size_t at = 0;

    while (json_next_member(s, len, &at, m))
        if (m->key_len == strlen(key) && memcmp(m->key, key, m->key_len) == 0)
            return true;
    return false;
}

bool
json_is_plain_string(const struct json_member *m)
{
    return m->value_len >= 2 && m->value[0] == '"' &&
        memchr(m->value, '\\', m->value_len) == NULL;
}

static void
put_lines(struct buf *out, const char *s, size_t len, int width, int indent)
{
    struct json_member m;
    size_t             at = 0;

    while (json_next_member(s, len, &at, &m)) {
        int n = (int)(m.key_len < 64 ? m.key_len : 64);
        if (m.value[0] == '{' && indent < 8) {
            buf_addf(out, "%*s%.*s\n", indent, "", n, m.key);
            put_lines(out, m.value, m.value_len, width, indent + 2);
            continue;
        }
        int pad = width - indent - n > 0 ? width - indent - n : 0;
        buf_addf(out, "%*s%.*s%*s ", indent, "", n, m.key, pad, "");
        if (json_is_plain_string(&m))
            buf_add(out, m.value + 1, m.value_len - 2);
        else
            buf_add(out, m.value, m.value_len);
        buf_addc(out, '\n');
    }
}

void
json_put_lines(struct buf *out, const char *s, size_t len, int width)
{
    put_lines(out, s, len, width, 0);
}
