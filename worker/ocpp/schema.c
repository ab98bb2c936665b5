/*
 * schema: checks a payload against the schema of its message. See schema.h.
 *
 * One walk goes over the tape and the tables together. For a value that does
 * not match its table, schema_deviate() gets two names: the kind of deviation,
 * with which lenient mode continues, and the error code, with which strict mode
 * stops.
 */
#include "ocpp/schema_walk.h"

#include <stdio.h>
#include <string.h>

#include "ocpp/json_char.h"
#include "ocpp/schema_format.h"

const struct schema_message *
schema_find(const struct schema_dialect *d, const char *action, size_t len)
{
    uint32_t low = 0, high = d->count;

    while (low < high) {
        uint32_t                     mid = (low + high) / 2;
        const struct schema_message *m = &d->messages[mid];
        size_t                       n = m->name_len < len ? m->name_len : len;
        int                          r = memcmp(action, m->name, n);
        if (r == 0)
            r = (len > m->name_len) - (len < m->name_len);
        if (r == 0)
            return m;
        if (r < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

/* The error code of a missing field: ProtocolError in 1.6,
 * OccurrenceConstraintViolation in 2.x. */
static enum ocppj_error
missing_code(const struct schema_walk *c)
{
    return c->flags & SCHEMA_CUSTOM_DATA ? OCPPJ_OCCURRENCE_CONSTRAINT
                                         : OCPPJ_PROTOCOL_ERROR;
}

/* --- values -------------------------------------------------------------- */

static bool check_object(struct schema_walk *c, const struct schema_place *at,
    const struct schema_object *o, uint32_t tok);

static bool
is_word(const struct json *j, uint32_t tok, const struct schema_enum *e)
{
    const struct json_token *t = &j->tok[tok];
    bool                     escaped = (t->flags & JSON_ESCAPED) != 0;
    uint32_t                 len = t->end - t->start;
    const char              *w = e->words;

    for (uint32_t i = 0; i < e->count; i++, w += 1 + (uchar)*w)
        if (escaped
                ? json_equals(j, tok, w + 1, (uchar)*w)
                : (uchar)*w == len && len > 0 && w[1] == j->text[t->start] &&
                    memcmp(w + 1, j->text + t->start, len) == 0)
            return true;
    return false;
}

static bool __attribute__((cold)) wrong_word(struct schema_walk *c,
    const struct schema_place *at, const struct schema_enum *e, uint32_t tok)
{
    char        list[160] = "one of ";
    size_t      n = strlen(list);
    const char *w = e->words;

    for (uint32_t i = 0; i < e->count; i++, w += 1 + (uchar)*w) {
        if (n + (uchar)*w + 6 > sizeof list) {
            memcpy(list + n - 2, ", ...", 6);
            break;
        }
        n += (size_t)snprintf(list + n, sizeof list - n, "%.*s%s", (uchar)*w,
            w + 1, i + 1 < e->count ? ", " : "");
    }
    return schema_deviate(c, at, tok,
        c->tape->tok[tok].count == 0 ? DEVIATION_BIT(empty_string)
                                     : DEVIATION_BIT(unknown_enum),
        OCPPJ_PROPERTY_CONSTRAINT, list);
}

static bool
check_string(struct schema_walk *c, const struct schema_place *at,
    const struct schema_field *f, uint32_t tok)
{
    const struct json_token *t = &c->tape->tok[tok];
    char                     right[48];

    switch (f->type) {
    case SCHEMA_ENUM:
        return is_word(c->tape, tok, f->of.words) ||
            wrong_word(c, at, f->of.words, tok);
    case SCHEMA_DATETIME:
        switch (schema_datetime(c->tape, tok)) {
        case SCHEMA_TIME_GOOD:
            return true;
        case SCHEMA_TIME_NO_ZONE:
            return schema_deviate(c, at, tok, DEVIATION_BIT(no_zone),
                OCPPJ_PROPERTY_CONSTRAINT,
                "a zone after it, Z or an offset like +02:00");
        case SCHEMA_TIME_BAD:
            break;
        }
        return schema_deviate(c, at, tok,
            t->count == 0 ? DEVIATION_BIT(empty_string)
                          : DEVIATION_BIT(bad_datetime),
            OCPPJ_PROPERTY_CONSTRAINT, "a time like 2026-01-31T12:34:56Z");
    case SCHEMA_URI:
        return schema_uri(c->tape, tok) ||
            schema_deviate(c, at, tok,
                t->count == 0 ? DEVIATION_BIT(empty_string)
                              : DEVIATION_BIT(bad_uri),
                OCPPJ_PROPERTY_CONSTRAINT, "a URI like ftp://host/path");
    }
    if (f->max == 0 || t->count <= f->max)
        return true;
    snprintf(
        right, sizeof right, "at most %u characters, not %u", f->max, t->count);
    return schema_deviate(c, at, tok, DEVIATION_BIT(long_string),
        OCPPJ_PROPERTY_CONSTRAINT, right);
}

static bool
check_range(struct schema_walk *c, const struct schema_place *at,
    const struct schema_range *r, uint32_t tok)
{
    double value = 0;
    char   right[64];

    json_double(c->tape, tok, &value);
    if ((r->low == INT32_MIN || value >= r->low) &&
        (r->high == INT32_MAX || value <= r->high))
        return true;
    if (r->high == INT32_MAX)
        snprintf(right, sizeof right, "at least %d", r->low);
    else if (r->low == INT32_MIN)
        snprintf(right, sizeof right, "at most %d", r->high);
    else
        snprintf(right, sizeof right, "%d to %d", r->low, r->high);
    return schema_deviate(c, at, tok, DEVIATION_BIT(out_of_range),
        OCPPJ_PROPERTY_CONSTRAINT, right);
}

static bool
check_number(struct schema_walk *c, const struct schema_place *at,
    const struct schema_field *f, uint32_t tok)
{
    char right[SCHEMA_ANY_DECIMALS + 32];

    if (f->type == SCHEMA_INTEGER &&
        (c->tape->tok[tok].flags & JSON_INTEGER) == 0 &&
        !((c->flags & SCHEMA_DRAFT_06) && schema_decimals(c->tape, tok, 0)) &&
        !schema_wrong_type(c, at, f, tok, DEVIATION_BIT(decimal_integer)))
        return false;
    if (f->of.range != NULL && !check_range(c, at, f->of.range, tok))
        return false;
    if (f->decimals == SCHEMA_ANY_DECIMALS ||
        schema_decimals(c->tape, tok, f->decimals))
        return true;
    snprintf(right, sizeof right, "a multiple of 0.%0*d", f->decimals, 1);
    return schema_deviate(c, at, tok, DEVIATION_BIT(not_multiple),
        OCPPJ_PROPERTY_CONSTRAINT, right);
}

/* Judges a scalar of another type than the field's. Accepts it if the value can
 * be read as the right type, or if the message is usable without it. */
static bool __attribute__((cold))
check_mismatch(struct schema_walk *c, const struct schema_place *at,
    const struct schema_field *f, uint32_t tok, bool needed)
{
    /* The scanner makes no other types.
     * NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange) */
    enum json_type type = (enum json_type)c->tape->tok[tok].type;
    bool           number = type == JSON_NUMBER;

    if (type == JSON_NULL)
        return schema_wrong_type(
            c, at, f, tok, needed ? 0 : DEVIATION_BIT(null_field));
    switch (f->type) {
    case SCHEMA_STRING:
    case SCHEMA_TEXT:
        needed = false;
        break;
    case SCHEMA_DATETIME:
        needed = needed && !number;
        break;
    case SCHEMA_INTEGER:
    case SCHEMA_NUMBER:
        if (type == JSON_STRING) {
            uint64_t bit = c->tape->tok[tok].count == 0
                ? DEVIATION_BIT(empty_string)
                : DEVIATION_BIT(string_for_number);
            if (needed && !schema_numeric(c->tape, tok, NULL))
                bit = 0;
            return schema_wrong_type(c, at, f, tok, bit);
        }
        break;
    case SCHEMA_BOOLEAN:
        if (type == JSON_STRING && c->tape->tok[tok].count == 0 && !needed)
            return schema_wrong_type(
                c, at, f, tok, DEVIATION_BIT(empty_string));
        needed = needed && !number && !json_equals(c->tape, tok, "true", 4) &&
            !json_equals(c->tape, tok, "false", 5);
        number = false;
        break;
    }
    return schema_wrong_type(c, at, f, tok,
        needed       ? 0
            : number ? DEVIATION_BIT(number_for_string)
                     : DEVIATION_BIT(wrong_scalar));
}

/* Checks one value: a field that is not an array, or an element of an array.
 * needed: the message is of no use without the value. */
static bool
check_value(struct schema_walk *c, const struct schema_place *at,
    const struct schema_field *f, uint32_t tok, bool needed)
{
    const struct json_token *t = &c->tape->tok[tok];

    switch (t->type) {
    case JSON_OBJECT:
        if (f->type == SCHEMA_OBJECT)
            return check_object(c, at, f->of.object, tok);
        /* fall through */
    case JSON_ARRAY:
        return f->type == SCHEMA_ANY ||
            schema_wrong_type(c, at, f, tok,
                f->type == SCHEMA_TEXT ? DEVIATION_BIT(value_for_text) : 0);
    case JSON_STRING:
        if (f->type <= SCHEMA_URI)
            return check_string(c, at, f, tok);
        break;
    case JSON_NUMBER:
        if (f->type == SCHEMA_INTEGER || f->type == SCHEMA_NUMBER)
            return check_number(c, at, f, tok);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        if (f->type == SCHEMA_BOOLEAN)
            return true;
        break;
    }
    if (f->type == SCHEMA_ANY)
        return true;
    if (f->type == SCHEMA_OBJECT) {
        if (needed)
            return schema_wrong_type(c, at, f, tok, 0);
        return schema_wrong_type(c, at, f, tok,
            t->type == JSON_NULL ? DEVIATION_BIT(null_field)
                : t->type == JSON_STRING && t->count == 0
                ? DEVIATION_BIT(empty_string)
                : 0);
    }
    return check_mismatch(c, at, f, tok, needed);
}

static bool
check_array(struct schema_walk *c, const struct schema_place *at,
    const struct schema_field *f, uint32_t tok, bool needed)
{
    const struct json_token *t = &c->tape->tok[tok];
    struct schema_place      here = {.up = at};
    char                     right[48];

    if (t->type != JSON_ARRAY) {
        bool empty = t->type == JSON_STRING && t->count == 0;
        if (c->strict || t->type == JSON_NULL || empty)
            return schema_deviate(c, at, tok,
                needed      ? 0
                    : empty ? DEVIATION_BIT(empty_string)
                            : DEVIATION_BIT(null_field),
                OCPPJ_TYPE_CONSTRAINT, "an array");
        return check_value(c, at, f, tok, true) &&
            schema_deviate(c, at, tok, DEVIATION_BIT(object_for_array),
                OCPPJ_TYPE_CONSTRAINT, "an array");
    }
    if (t->count < f->min_items) {
        snprintf(right, sizeof right, "at least %u", f->min_items);
        if (!schema_deviate(c, at, tok, DEVIATION_BIT(empty_array),
                OCPPJ_OCCURRENCE_CONSTRAINT, right))
            return false;
    }
    if (f->max_items > 0 && t->count > f->max_items) {
        snprintf(right, sizeof right, "at most %u", f->max_items);
        if (!schema_deviate(c, at, tok, DEVIATION_BIT(long_array),
                OCPPJ_OCCURRENCE_CONSTRAINT, right))
            return false;
    }
    for (uint32_t i = tok + 1; i < t->next; i = c->tape->tok[i].next) {
        if (!check_value(c, &here, f, i, true))
            return false;
        here.index++;
    }
    return true;
}

/* The field with that name. The search begins at `hint`, because charge points
 * mostly send fields in a fixed order. */
static const struct schema_field *
find_field(const struct json *j, const struct schema_object *o, uint32_t key,
    uint32_t hint)
{
    const struct json_token *t = &j->tok[key];
    const char              *name = j->text + t->start;
    uint32_t                 len = t->end - t->start;
    bool                     escaped = (t->flags & JSON_ESCAPED) != 0;

    for (uint32_t n = 0; n < o->count; n++) {
        if (hint >= o->count)
            hint = 0;
        const struct schema_field *f = &o->fields[hint++];
        if (escaped ? json_equals(j, key, f->name, f->name_len)
                    : f->name_len == len && memcmp(f->name, name, len) == 0)
            return f;
    }
    return NULL;
}

static bool __attribute__((cold))
check_missing(struct schema_walk *c, const struct schema_place *at,
    const struct schema_object *o, uint64_t missing)
{
    for (uint32_t i = 0; i < o->count; i++) {
        const struct schema_field *f = &o->fields[i];
        struct schema_place        here = {at, f->name, f->name_len, 0};

        if ((missing >> i & 1) == 0)
            continue;
        if (c->strict ||
            ((f->flags & SCHEMA_USABLE_WITHOUT) == 0 && !c->forgiving))
            return schema_refuse(
                c, &here, missing_code(c), "missing, %s requires it", o->name);
        schema_deviate(c, &here, 0, DEVIATION_BIT(missing_field),
            OCPPJ_PROTOCOL_ERROR, "");
    }
    return true;
}

/* customData: an object with a vendorId and any other members. */
static bool
check_custom(struct schema_walk *c, const struct schema_place *at, uint32_t tok)
{
    static const struct schema_field vendor = {.name = "vendorId",
        .name_len = 8,
        .type = SCHEMA_STRING,
        .max = 255,
        .flags = SCHEMA_REQUIRED};
    struct schema_place              here = {at, "vendorId", 8, 0};
    enum json_type type = (enum json_type)c->tape->tok[tok].type;

    if (type != JSON_OBJECT)
        return schema_deviate(c, at, tok,
            type == JSON_NULL ? DEVIATION_BIT(null_field)
                              : DEVIATION_BIT(wrong_scalar),
            OCPPJ_TYPE_CONSTRAINT, "an object");
    uint32_t id = json_member(c->tape, tok, "vendorId", 8);
    if (id != 0)
        return check_value(c, &here, &vendor, id, false);
    if (c->strict)
        return schema_refuse(
            c, &here, missing_code(c), "missing, customData requires it");
    return schema_deviate(
        c, &here, 0, DEVIATION_BIT(missing_field), OCPPJ_PROTOCOL_ERROR, "");
}

static bool
check_object(struct schema_walk *c, const struct schema_place *at,
    const struct schema_object *o, uint32_t tok)
{
    const struct json *j = c->tape;
    uint32_t           end = j->tok[tok].next, hint = 0;
    uint64_t           seen = 0;

    for (uint32_t key = tok + 1; key < end; key = j->tok[key + 1].next) {
        struct schema_place        here = {at, j->text + j->tok[key].start,
                   j->tok[key].end - j->tok[key].start, 0};
        const struct schema_field *f = find_field(j, o, key, hint);

        if (f == NULL && (c->flags & SCHEMA_CUSTOM_DATA) &&
            json_equals(j, key, "customData", 10)) {
            if (!check_custom(c, &here, key + 1))
                return false;
            continue;
        }
        if (f == NULL) {
            if (c->strict)
                return schema_refuse(c, &here, OCPPJ_FORMATION_VIOLATION,
                    "no such field in %s", o->name);
            schema_deviate(c, &here, key, DEVIATION_BIT(extra_field),
                OCPPJ_FORMATION_VIOLATION, "");
            continue;
        }
        here.name = f->name; /* without escapes */
        here.len = f->name_len;
        uint32_t i = (uint32_t)(f - o->fields);
        bool     needed = (f->flags & SCHEMA_REQUIRED) != 0 &&
            (f->flags & SCHEMA_USABLE_WITHOUT) == 0;
        seen |= UINT64_C(1) << i;
        hint = i + 1;
        if ((f->flags & SCHEMA_ARRAY) != 0
                ? !check_array(c, &here, f, key + 1, needed)
                : !check_value(c, &here, f, key + 1, needed))
            return false;
    }
    uint64_t missing = o->required & ~seen;
    return missing == 0 || check_missing(c, at, o, missing);
}

bool
schema_is_transactional(const struct schema_message *m)
{
    return m->event == EVENT_tx_started || m->event == EVENT_tx_updated ||
        m->event == EVENT_tx_stopped || m->event == EVENT_meter_values;
}

bool
schema_is_remembered(const struct schema_message *m)
{
    return m->event == EVENT_tx_started || m->event == EVENT_tx_updated ||
        m->event == EVENT_tx_stopped;
}

bool
schema_check(const struct schema_message *m, enum schema_part part,
    const struct json *tape, uint32_t payload, enum ocppj_mode mode,
    struct schema_verdict *out)
{
    const struct schema_object *o =
        part == SCHEMA_REQUEST ? &m->request : &m->response;
    bool                strict = mode == OCPPJ_STRICT;
    struct schema_walk  c = {tape, out, strict,
         !strict && part == SCHEMA_REQUEST && schema_is_transactional(m),
         m->flags};
    struct schema_place root = {0};

    out->ok = true;
    out->code = OCPPJ_ERRORS;
    out->deviations = 0;
    out->path[0] = '\0';
    out->text[0] = '\0';
    switch (tape->tok[payload].type) {
    case JSON_OBJECT:
        return check_object(&c, &root, o, payload);
    case JSON_NULL:
        /* In 1.6 null means {} (OCPP-J 1.6 section 4.2.1). The schemas of
         * 2.x accept only an object. */
        if ((m->flags & SCHEMA_CUSTOM_DATA) != 0 &&
            !schema_deviate(&c, &root, payload, DEVIATION_BIT(null_field),
                OCPPJ_FORMATION_VIOLATION, "an object"))
            return false;
        return o->required == 0 || check_missing(&c, &root, o, o->required);
    default:
        c.forgiving = false;
        return schema_deviate(
            &c, &root, payload, 0, OCPPJ_FORMATION_VIOLATION, "an object");
    }
}
