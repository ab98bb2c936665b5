/* schema_walk: the position in a payload that is checked, and what is wrong
 * there. See schema_walk.h. */
#include "ocpp/schema_walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ocpp/json_char.h"
#include "ocpp/secrets.h"

static const char *const expected[] = {
    [SCHEMA_STRING] = "a string",
    [SCHEMA_TEXT] = "a string",
    [SCHEMA_ENUM] = "a string",
    [SCHEMA_DATETIME] = "a time in a string",
    [SCHEMA_URI] = "a URI in a string",
    [SCHEMA_INTEGER] = "an integer",
    [SCHEMA_NUMBER] = "a number",
    [SCHEMA_BOOLEAN] = "true or false",
    [SCHEMA_OBJECT] = "an object",
    [SCHEMA_ANY] = "anything",
};

/* Appends text from outside, cut and printable, for a log line. */
static void
put_foreign(char *out, size_t size, const char *s, size_t len)
{
    const uchar *p = (const uchar *)s, *end = p + len;
    size_t       n = 0;

    while (p < end && n + 4 < size) {
        out[n++] = (char)(*p >= 0x20 && *p < 0x7f ? *p : '?');
        size_t one = utf8_len(p, (size_t)(end - p));
        p += one > 0 ? one : 1;
    }
    if (p < end) {
        memcpy(out + n, "...", 3);
        n += 3;
    }
    out[n] = '\0';
}

static void
put_path(struct schema_verdict *out, const struct schema_place *at)
{
    size_t used;
    char   one[64];

    if (at == NULL || at->up == NULL)
        return;
    put_path(out, at->up);
    used = strlen(out->path);
    if (at->name == NULL) {
        snprintf(one, sizeof one, "[%u]", at->index);
    } else {
        char name[56];
        put_foreign(name, sizeof name, at->name, at->len);
        snprintf(one, sizeof one, "%s%s", used > 0 ? "." : "", name);
    }
    if (used + strlen(one) < sizeof out->path)
        memcpy(out->path + used, one, strlen(one) + 1);
    else /* Leave this part out; the last part may still fit. */
        memcpy(out->path +
                (used < sizeof out->path - 4 ? used : sizeof out->path - 4),
            "...", 4);
}

bool
schema_refuse(struct schema_walk *c, const struct schema_place *at,
    enum ocppj_error code, const char *fmt, ...)
{
    struct schema_verdict *out = c->out;
    va_list                ap;

    out->ok = false;
    out->code = code;
    out->path[0] = '\0';
    put_path(out, at);
    int n = snprintf(out->text, sizeof out->text,
        "%s: ", out->path[0] != '\0' ? out->path : "payload");
    va_start(ap, fmt);
    vsnprintf(out->text + n, sizeof out->text - (size_t)n, fmt, ap);
    va_end(ap);
    return false;
}

/* Must the value be kept out of messages? */
static bool
hides(const struct schema_place *at)
{
    while (at != NULL && at->name == NULL) /* an element of an array */
        at = at->up;
    return at != NULL && secrets_is_field(at->name, at->len);
}

bool
schema_deviate(struct schema_walk *c, const struct schema_place *at,
    uint32_t tok, uint64_t bit, enum ocppj_error code, const char *right)
{
    char        value[48], found[64];
    size_t      len;
    const char *raw;

    if (bit == 0 && c->forgiving)
        bit = c->tape->tok[tok].type == JSON_NULL ? DEVIATION_BIT(null_field)
                                                  : DEVIATION_BIT(wrong_type);
    if (!c->strict && bit != 0) {
        if (c->out->deviations == 0)
            put_path(c->out, at);
        c->out->deviations |= bit;
        return true;
    }
    switch (c->tape->tok[tok].type) {
    case JSON_OBJECT:
        strcpy(found, "an object");
        break;
    case JSON_ARRAY:
        snprintf(
            found, sizeof found, "an array of %u", c->tape->tok[tok].count);
        break;
    case JSON_STRING:
        raw = json_raw(c->tape, tok, &len);
        put_foreign(value, sizeof value, raw + 1, len - 2);
        if (hides(at))
            snprintf(found, sizeof found, "a string of %u characters",
                c->tape->tok[tok].count);
        else
            snprintf(found, sizeof found, "\"%s\"", value);
        break;
    default:
        raw = json_raw(c->tape, tok, &len);
        put_foreign(found, sizeof value, raw, len);
        if (hides(at))
            strcpy(found, "another value");
    }
    return schema_refuse(c, at, code, "found %s, expected %s", found, right);
}

bool
schema_wrong_type(struct schema_walk *c, const struct schema_place *at,
    const struct schema_field *f, uint32_t tok, uint64_t bit)
{
    return schema_deviate(
        c, at, tok, bit, OCPPJ_TYPE_CONSTRAINT, expected[f->type]);
}
