/* json_members: the members of one JSON object. See json_members.h. */
#include "control/json_members.h"

#include <stdlib.h>
#include <string.h>

static size_t
skip_blanks(const char *s, size_t len, size_t i)
{
    while (i < len &&
        (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r'))
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
json_find_member(
    const char *s, size_t len, const char *key, struct json_member *m)
{
    size_t at = 0;

    while (json_next_member(s, len, &at, m))
        if (m->key_len == strlen(key) && memcmp(m->key, key, m->key_len) == 0)
            return true;
    return false;
}

/* One escape behind its backslash; returns the bytes it takes. What has no
 * printable ASCII form stays escaped. */
static size_t
put_escape(struct buf *out, const char *s, size_t len)
{
    unsigned code = 0;

    if (s[0] == '"' || s[0] == '\\' || s[0] == '/') {
        buf_addc(out, s[0]);
        return 1;
    }
    if (s[0] == 'u' && len >= 5) {
        char hex[5] = {s[1], s[2], s[3], s[4], '\0'};
        code = (unsigned)strtoul(hex, NULL, 16);
        if (code >= 0x20 && code < 0x7f) {
            buf_addc(out, (char)code);
            return 5;
        }
    }
    buf_addc(out, '\\');
    buf_addc(out, s[0]);
    return 1;
}

void
json_put_value(struct buf *out, const struct json_member *m)
{
    const char *s = m->value;
    size_t      len = m->value_len;

    if (len < 2 || s[0] != '"') {
        buf_add(out, s, len);
        return;
    }
    s++;
    len -= 2;
    while (len > 0) {
        const char *slash = memchr(s, '\\', len);
        size_t      n = slash != NULL ? (size_t)(slash - s) : len;
        buf_add(out, s, n);
        s += n;
        len -= n;
        if (len < 2)
            break;
        n = put_escape(out, s + 1, len - 1) + 1;
        s += n;
        len -= n;
    }
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
        json_put_value(out, &m);
        buf_addc(out, '\n');
    }
}

void
json_put_lines(struct buf *out, const char *s, size_t len, int width)
{
    put_lines(out, s, len, width, 0);
}
