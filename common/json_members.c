/* json_members: the members of one JSON object. See json_members.h. */
#include "json_members.h"

#include <stdlib.h>
#include <string.h>

/* Each of these functions skips the item that begins at p and returns its end;
 * NULL if it does not end before `end`. */

static const char *
skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
        p++;
    return p;
}

static const char *
skip_string(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '"')
            return p + 1;
    }
    return NULL;
}

static const char *
skip_value(const char *p, const char *end)
{
    unsigned depth = 0;

    while (p < end) {
        switch (*p) {
        case '"':
            p = skip_string(p, end);
            if (p == NULL || depth == 0)
                return p;
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (depth == 0)
                return p; /* a number or word ended here */
            if (--depth == 0)
                return p + 1;
            break;
        case ',':
        case ' ':
        case '\t':
        case '\r':
        case '\n':
            if (depth == 0)
                return p;
            break;
        }
        p++;
    }
    return NULL;
}

bool
json_members_next(const char *s, size_t len, size_t *at, struct json_member *m)
{
    const char *end = s + len, *p = skip_blanks(s + *at, end);

    if (p == end || *p != (*at == 0 ? '{' : ','))
        return false;
    p = skip_blanks(p + 1, end);
    if (p == end || *p != '"')
        return false;
    m->key = p + 1;
    p = skip_string(p, end);
    if (p == NULL)
        return false;
    m->key_len = (size_t)(p - 1 - m->key);
    p = skip_blanks(p, end);
    if (p == end || *p != ':')
        return false;
    p = skip_blanks(p + 1, end);
    m->value = p;
    p = skip_value(p, end);
    if (p == NULL || p == m->value)
        return false;
    m->value_len = (size_t)(p - m->value);
    *at = (size_t)(p - s);
    return true;
}

bool
json_members_find(
    const char *s, size_t len, const char *key, struct json_member *m)
{
    size_t at = 0, key_len = strlen(key);

    while (json_members_next(s, len, &at, m))
        if (m->key_len == key_len && memcmp(m->key, key, key_len) == 0)
            return true;
    return false;
}

/* Writes the character of an escape; p points after the backslash. Returns the
 * number of bytes read. An escape without a printable ASCII form is copied as
 * it is. */
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
json_members_put_value(struct buf *out, const struct json_member *m)
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

    while (json_members_next(s, len, &at, &m)) {
        int n = (int)(m.key_len < 64 ? m.key_len : 64);
        if (m.value[0] == '{' && indent < 8) {
            buf_addf(out, "%*s%.*s\n", indent, "", n, m.key);
            put_lines(out, m.value, m.value_len, width, indent + 2);
            continue;
        }
        int pad = width - indent - n > 0 ? width - indent - n : 0;
        buf_addf(out, "%*s%.*s%*s ", indent, "", n, m.key, pad, "");
        json_members_put_value(out, &m);
        buf_addc(out, '\n');
    }
}

void
json_members_put_lines(struct buf *out, const char *s, size_t len, int width)
{
    put_lines(out, s, len, width, 0);
}
