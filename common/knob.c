/*
 * knob: one setting of ocppd.conf(5). See knob.h.
 *
 * Numbers are not read by strtoull(), because it accepts signs, blanks, octal
 * and hexadecimal numbers, which a configuration must not contain.
 */
#include "knob.h"

#include <stdio.h>
#include <string.h>

#include "ensure.h"
#include "near.h"

const struct knob knobs[CONF_KNOBS] = {
#define KNOB(type, s, k, def, min, max, reload, doc)                           \
    {#s, #k, KNOB_##type, KNOB_##reload, def, min, max, doc,                   \
        offsetof(struct config, s##_##k)},
#include "conf.def"
};

const struct knob_choice knob_choices[CONF_CHOICES] = {
#define CHOICE(s, k, word, doc) {CONF_KNOB_##s##_##k, #word, doc},
#include "conf.def"
};

const struct knob_section knob_sections[] = {
#define SECTION(s, doc) {#s, doc},
#include "conf.def"
};

const size_t knob_sections_n = sizeof knob_sections / sizeof knob_sections[0];

/* Largest first: knob_print() uses the first unit that divides the value. */
struct unit {
    const char *name;
    uint64_t    factor;
};

static const struct unit times[] = {{"d", 86400000}, {"h", 3600000},
    {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};

static const struct unit sizes[] = {{"GiB", 1ull << 30}, {"MiB", 1ull << 20},
    {"KiB", 1ull << 10}, {"", 1}, {NULL, 0}};

static void *
field(enum conf_knob k, struct config *c)
{
    return (char *)c + knobs[k].offset;
}

static const void *
field_of(enum conf_knob k, const struct config *c)
{
    return (const char *)c + knobs[k].offset;
}

/* --- names --------------------------------------------------------------- */

const char *
knob_choice_name(enum conf_choice choice)
{
    return (unsigned)choice < CONF_CHOICES ? knob_choices[choice].word : "?";
}

enum conf_knob
knob_find(const char *section, const char *key)
{
    for (unsigned k = 0; k < CONF_KNOBS; k++)
        if (strcmp(knobs[k].key, key) == 0 &&
            strcmp(knobs[k].section, section) == 0)
            return (enum conf_knob)k;
    return CONF_KNOBS;
}

bool
knob_is_section(const char *name)
{
    for (size_t i = 0; i < knob_sections_n; i++)
        if (strcmp(knob_sections[i].name, name) == 0)
            return true;
    return false;
}

const char *
knob_near_section(const char *name)
{
    struct near n = near_to(name);

    for (size_t i = 0; i < knob_sections_n; i++)
        near_try(&n, knob_sections[i].name);
    return n.word;
}

const struct knob *
knob_near_key(const char *section, const char *key)
{
    struct near        n = near_to(key);
    const struct knob *near = NULL;

    for (unsigned k = 0; k < CONF_KNOBS; k++)
        if ((section == NULL || strcmp(knobs[k].section, section) == 0) &&
            near_try(&n, knobs[k].key))
            near = &knobs[k];
    return near;
}

/* --- reading values ------------------------------------------------------ */

static const struct unit *
units_of(enum knob_type type)
{
    return type == KNOB_TIME ? times : type == KNOB_SIZE ? sizes : NULL;
}

/* Digits, then a unit. Returns NULL if s is such a number, otherwise a text
 * that names the error. */
static const char *
number(const char *s, enum knob_type type, uint64_t *value)
{
    const struct unit *u = units_of(type);
    uint64_t           n = 0;
    const char        *p;

    for (p = s; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
            return "is too large";
    if (p == s)
        return type == KNOB_TIME ? "is not a time"
            : type == KNOB_SIZE  ? "is not a size"
                                 : "is not a number";
    if (*p == '.' || *p == ',' || (u == NULL && *p != '\0'))
        return "is not a whole number";
    *value = n;
    /* The number 0 needs no unit. */
    if (u == NULL || (*p == '\0' && n == 0))
        return NULL;
    for (; u->name != NULL; u++)
        if (strcmp(p, u->name) == 0)
            return __builtin_mul_overflow(n, u->factor, value) ? "is too large"
                                                               : NULL;
    return *p == '\0' ? "has no unit" : "has an unknown unit";
}

static bool
parse_number(
    enum conf_knob k, const char *text, uint64_t *value, struct buf *why)
{
    const struct knob *knob = &knobs[k];
    uint64_t           n = 0, min = 0, max = 0;
    bool               may_auto = knob_takes_auto(k);

    if (may_auto && strcmp(text, "auto") == 0) {
        *value = 0;
        return true;
    }
    ensure(number(knob->min, knob->type, &min) == NULL);
    ensure(number(knob->max, knob->type, &max) == NULL);
    const char *wrong = number(text, knob->type, &n);
    if (wrong == NULL && (n < min || (n == 0 && may_auto)))
        wrong = "is too small";
    if (wrong == NULL && n > max)
        wrong = "is too large";
    if (wrong == NULL) {
        *value = n;
        return true;
    }
    const char *from = may_auto && min == 0 ? "1" : knob->min;
    buf_addf(why, "%s; write %s", wrong, may_auto ? "auto or " : "");
    if (knob->type == KNOB_TIME)
        buf_addf(why, "a number with ms, s, m, h or d, from %s to %s", from,
            knob->max);
    else if (knob->type == KNOB_SIZE)
        buf_addf(why,
            "a number of bytes or with KiB, MiB or GiB, "
            "from %s to %s",
            from, knob->max);
    else
        buf_addf(why, "a number from %s to %s", from, knob->max);
    return false;
}

static bool
parse_word(enum conf_knob k, const char *text, enum conf_choice *value,
    struct buf *why)
{
    unsigned    last = 0;
    struct near near = near_to(text);

    for (unsigned i = 0; i < CONF_CHOICES; i++) {
        if (knob_choices[i].knob != k)
            continue;
        last = i;
        if (strcmp(knob_choices[i].word, text) == 0) {
            *value = (enum conf_choice)i;
            return true;
        }
        near_try(&near, knob_choices[i].word);
    }
    buf_adds(why, "is not known here; write ");
    const char *between = "";
    for (unsigned i = 0; i < CONF_CHOICES; i++)
        if (knob_choices[i].knob == k) {
            buf_addf(why, "%s%s", between, knob_choices[i].word);
            between = i + 1 == last ? " or " : ", ";
        }
    /* The choices of one knob follow each other in the table. */
    if (near.word != NULL)
        buf_addf(why, " (did you mean %s?)", near.word);
    return false;
}

static bool
parse_flag(const char *text, bool *value, struct buf *why)
{
    static const char *const yes[] = {"true", "on", "1", "y", "YES", "Yes"};
    static const char *const no[] = {"false", "off", "0", "n", "NO", "No"};

    if (strcmp(text, "yes") == 0 || strcmp(text, "no") == 0) {
        *value = text[0] == 'y';
        return true;
    }
    buf_adds(why, "is neither yes nor no; write ");
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(text, yes[i]) == 0) {
            buf_adds(why, "yes");
            return false;
        }
        if (strcmp(text, no[i]) == 0) {
            buf_adds(why, "no");
            return false;
        }
    }
    buf_adds(why, "yes or no");
    return false;
}

/* Reads a string: no quotes, no control characters, nothing that a
 * configuration file could not hold. The items of a list are separated by one
 * blank each in the value, even if there were more in the text. */
static bool
parse_text(
    const char *text, char *value, size_t size, bool list, struct buf *why)
{
    char   out[CONF_LIST_MAX > CONF_TEXT_MAX ? CONF_LIST_MAX : CONF_TEXT_MAX];
    size_t n = 0;

    ensure(size <= sizeof out);
    if (text[0] == '"' || text[0] == '\'') {
        buf_adds(why, "is quoted; write it without the quotes");
        return false;
    }
    for (const char *s = text; *s != '\0'; s++) {
        char ch = *s;
        if ((ch == '#' || ch == ';') &&
            (s == text || s[-1] == ' ' || s[-1] == '\t')) {
            buf_addf(why, "has a %c that begins a comment; remove it", ch);
            return false;
        }
        if (list && (ch == ' ' || ch == '\t')) {
            if (n == 0 || out[n - 1] == ' ')
                continue;
            ch = ' ';
        } else if (list && ch == ',') {
            buf_adds(why, "has a comma; separate the items by blanks");
            return false;
        } else if ((unsigned char)ch < 0x20 || ch == 0x7f) {
            buf_addf(why, "holds the control character 0x%02x; remove it",
                (unsigned char)ch);
            return false;
        }
        if (n + 1 >= size) {
            buf_addf(
                why, "is too long; at most %zu bytes are possible", size - 1);
            return false;
        }
        out[n++] = ch;
    }
    if (list && n > 0 && out[n - 1] == ' ')
        n--;
    /* The rest is zeroed, so that equal settings can be compared with
       memcmp(). */
    memset(value, 0, size);
    memcpy(value, out, n);
    return true;
}

bool
knob_parse(
    enum conf_knob k, const char *text, struct config *c, struct buf *why)
{
    void *p = field(k, c);

    if (text[0] == '\0' && knobs[k].type != KNOB_TEXT &&
        knobs[k].type != KNOB_LIST) {
        buf_addf(why, "has no value; the default is %s", knobs[k].def);
        return false;
    }
    switch (knobs[k].type) {
    case KNOB_FLAG:
        return parse_flag(text, p, why);
    case KNOB_COUNT:
    case KNOB_TIME:
    case KNOB_SIZE:
        return parse_number(k, text, p, why);
    case KNOB_WORD:
        return parse_word(k, text, p, why);
    case KNOB_TEXT:
        return parse_text(text, p, CONF_TEXT_MAX, false, why);
    case KNOB_LIST:
        return parse_text(text, p, CONF_LIST_MAX, true, why);
    }
    return false;
}

/* --- writing values ------------------------------------------------------ */

void
knob_print(enum conf_knob k, const struct config *c, struct buf *out)
{
    const void *p = field_of(k, c);
    uint64_t    n;

    switch (knobs[k].type) {
    case KNOB_FLAG:
        buf_adds(out, *(const bool *)p ? "yes" : "no");
        break;
    case KNOB_COUNT:
        n = *(const uint64_t *)p;
        if (n == 0 && knob_takes_auto(k))
            buf_adds(out, "auto");
        else
            buf_addf(out, "%llu", (unsigned long long)n);
        break;
    case KNOB_TIME:
    case KNOB_SIZE:
        n = *(const uint64_t *)p;
        if (n == 0) {
            buf_adds(out, knobs[k].type == KNOB_TIME ? "0s" : "0");
            break;
        }
        for (const struct unit *u = knobs[k].type == KNOB_TIME ? times : sizes;
             u->name; u++)
            if (n % u->factor == 0) {
                buf_addf(out, "%llu%s", (unsigned long long)(n / u->factor),
                    u->name);
                break;
            }
        break;
    case KNOB_WORD:
        buf_adds(out, knob_choice_name(*(const enum conf_choice *)p));
        break;
    case KNOB_TEXT:
    case KNOB_LIST:
        buf_adds(out, p);
        break;
    }
}

static size_t
width(enum conf_knob k)
{
    switch (knobs[k].type) {
    case KNOB_FLAG:
        return sizeof(bool);
    case KNOB_COUNT:
    case KNOB_TIME:
    case KNOB_SIZE:
        return sizeof(uint64_t);
    case KNOB_WORD:
        return sizeof(enum conf_choice);
    case KNOB_TEXT:
        return CONF_TEXT_MAX;
    case KNOB_LIST:
        return CONF_LIST_MAX;
    }
    return 0;
}

bool
knob_same(enum conf_knob k, const struct config *a, const struct config *b)
{
    return memcmp(field_of(k, a), field_of(k, b), width(k)) == 0;
}

void
knob_copy(enum conf_knob k, struct config *to, const struct config *from)
{
    memcpy(field(k, to), field_of(k, from), width(k));
}

bool
knob_takes_auto(enum conf_knob k)
{
    return knobs[k].type == KNOB_COUNT && strcmp(knobs[k].def, "auto") == 0;
}

bool
knob_is_secret(enum conf_knob k)
{
    static const bool secret[CONF_KNOBS] = {
#define SECRET(s, key, def, reload, doc) [CONF_KNOB_##s##_##key] = true,
#include "conf.def"
    };

    return secret[k];
}

const char *
knob_reload_name(enum knob_reload reload)
{
    switch (reload) {
    case KNOB_LIVE:
        return "live";
    case KNOB_FRESH:
        return "fresh";
    case KNOB_RESTART:
        return "restart";
    }
    return "?";
}
