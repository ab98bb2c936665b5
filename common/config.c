/*
 * config: reads ocppd.conf(5) and overrides. See config.h.
 *
 * inih splits the lines; it is fed one checked line at a time, because left
 * alone it cuts long lines and goes on with the rest as if it were a new
 * line, repeats the former key for an indented line, and does not say which
 * line a handler call belongs to. So a line reaches inih stripped of
 * blanks and comment, whole, and of a form that can be read only one way;
 * of every other line inih sees an empty one, and the operator an error.
 *
 * Comments: # or ;, at the start of a line or after a blank, to its end.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config_check.h"
#include "ensure.h"
#include "knob.h"

#define KEY_MAX_BYTES 49 /* inih cuts names after these */
#define SHOWN_BYTES 60   /* of a bad value, in its error */

/* One reading: where it is, and what it has found so far. */
struct reading {
    struct config *c;
    const char    *file; /* name for errors; NULL: no file */
    const char    *next; /* the rest of its text */
    const char    *end;
    int            line; /* the line inih works on, from 1 */
    bool           skip; /* in an unknown section, already reported */
    bool           bad[CONF_KNOBS];  /* had an error: is in no cross check */
    int            seen[CONF_KNOBS]; /* line that set it, right or wrong */
    struct buf    *errors;
    unsigned       errors_n;
};

/* --- errors -------------------------------------------------------------- */

/* Opens an error line; false if there were enough already. */
static bool
error_begin(struct reading *r)
{
    if (++r->errors_n == CONF_ERRORS + 1)
        buf_addf(r->errors, "%s: there are more errors; correct these first\n",
            r->file != NULL ? r->file : "-o");
    return r->errors_n <= CONF_ERRORS;
}

/* Without what would upset a terminal. */
static void
put_clean(struct buf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_addc(out, (char)(s[i] >= 0x20 && s[i] < 0x7f ? s[i] : '?'));
}

/* What an operator wrote, enough of it to be known again. */
static void
put_shown(struct buf *out, const char *s, size_t n)
{
    put_clean(out, s, n > SHOWN_BYTES ? SHOWN_BYTES : n);
    if (n > SHOWN_BYTES)
        buf_adds(out, "...");
}

static void
put_value(struct reading *r, enum conf_knob k, const char *value)
{
    if (knob_is_secret(k))
        buf_adds(r->errors, "***");
    else
        put_shown(r->errors, value, strlen(value));
}

/* About the present line as a whole. */
static void __attribute__((format(printf, 4, 5)))
bad_line(struct reading *r, const char *s, size_t n, const char *fmt, ...)
{
    char    text[256];
    va_list ap;

    if (!error_begin(r))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_addf(r->errors, "%s:%d: ", r->file, r->line);
    put_shown(r->errors, s, n);
    buf_addf(r->errors, ": %s\n", text);
}

static void
put_origin(struct reading *r, int origin)
{
    if (origin > 0)
        buf_addf(r->errors, "%s:%d: ", r->file, origin);
    else if (origin < 0 || r->file == NULL)
        buf_adds(r->errors, "-o: ");
    else
        buf_addf(r->errors, "%s: ", r->file);
}

/* A check_fault: about a value that could be read, but cannot be. */
static void
on_fault(void *reading, enum conf_knob k, const char *text)
{
    struct reading *r = reading;
    struct buf      value = BUF_INIT(2 * CONF_LIST_MAX);

    if (!error_begin(r))
        return;
    put_origin(r, r->c->origin[k]);
    knob_print(k, r->c, &value);
    buf_addf(r->errors, "%s.%s = ", knobs[k].section, knobs[k].key);
    put_value(r, k, buf_cstr(&value));
    buf_adds(r->errors, r->c->origin[k] == 0 ? " (the default): " : ": ");
    put_clean(r->errors, text, strlen(text));
    buf_addc(r->errors, '\n');
    buf_free(&value);
}

/* --- one setting --------------------------------------------------------- */

static void
unknown_key(struct reading *r, int origin, const char *section, const char *key,
    const char *value)
{
    const struct knob *near = knob_near_key(section, key);
    const struct knob *other = knob_near_key(NULL, key);

    if (!error_begin(r))
        return;
    put_origin(r, origin);
    if (section[0] != '\0') {
        put_shown(r->errors, section, strlen(section));
        buf_adds(r->errors, ".");
    }
    put_shown(r->errors, key, strlen(key));
    buf_adds(r->errors, " = ");
    put_shown(r->errors, value, strlen(value));
    if (section[0] == '\0')
        buf_adds(r->errors, ": stands before the first section; ");
    else
        buf_adds(r->errors, ": there is no such key; ");
    if (other != NULL && strcmp(other->key, key) == 0)
        buf_addf(
            r->errors, "%s belongs into section [%s]\n", key, other->section);
    else if (section[0] == '\0')
        buf_addf(r->errors, "write a line like [%s] above it\n",
            other != NULL ? other->section : knob_sections[0].name);
    else if (near != NULL)
        buf_addf(r->errors, "did you mean %s?\n", near->key);
    else
        buf_addf(r->errors, "ocppd.conf(5) lists the keys of [%s]\n", section);
}

static void
unknown_section(struct reading *r, int origin, const char *name, size_t n)
{
    char        copy[KEY_MAX_BYTES + 1];
    const char *near = NULL;

    if (!error_begin(r))
        return;
    if (n < sizeof copy) {
        memcpy(copy, name, n);
        copy[n] = '\0';
        near = knob_near_section(copy);
    }
    put_origin(r, origin);
    buf_adds(r->errors, "[");
    put_shown(r->errors, name, n);
    buf_adds(r->errors, "]: there is no such section; ");
    if (near != NULL) {
        buf_addf(r->errors, "did you mean [%s]?\n", near);
        return;
    }
    buf_adds(r->errors, "there are");
    for (size_t i = 0; i < knob_sections_n; i++)
        buf_addf(r->errors, " [%s]", knob_sections[i].name);
    buf_addc(r->errors, '\n');
}

static void
set(struct reading *r, int origin, enum conf_knob k, const char *value)
{
    struct buf why = BUF_INIT(1024);

    if (knob_parse(k, value, r->c, &why)) {
        r->c->origin[k] = origin;
        r->bad[k] = false;
    } else {
        r->bad[k] = true;
        if (error_begin(r)) {
            put_origin(r, origin);
            buf_addf(r->errors, "%s.%s = ", knobs[k].section, knobs[k].key);
            put_value(r, k, value);
            buf_addf(r->errors, ": %s\n", buf_cstr(&why));
        }
    }
    buf_free(&why);
}

/* --- the file ------------------------------------------------------------ */

static bool
blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Narrows [*s, *e) to what it holds besides blanks and a comment. */
static void
strip(const char **s, const char **e)
{
    while (*s < *e && blank(**s))
        ++*s;
    for (const char *p = *s; p < *e; p++)
        if ((*p == '#' || *p == ';') && (p == *s || blank(p[-1])))
            *e = p;
    while (*e > *s && blank((*e)[-1]))
        --*e;
}

static bool
is_key(const char *s, size_t n)
{
    if (n == 0 || n > KEY_MAX_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                (s[i] >= '0' && s[i] <= '9') || s[i] == '_' || s[i] == '-'))
            return false;
    return true;
}

/* A stripped line that opens a section: true if inih may see it. */
static bool
section_ok(struct reading *r, const char *s, size_t n)
{
    const char *close = memchr(s, ']', n);
    char        name[KEY_MAX_BYTES + 1] = "";

    r->skip = true; /* what follows, unless this is a section */
    if (close == NULL || close != s + n - 1) {
        bad_line(r, s, n,
            "is no section; write its name in brackets and "
            "nothing else, as [%s]",
            knob_sections[0].name);
        return false;
    }
    if (n - 2 < sizeof name)
        memcpy(name, s + 1, n - 2);
    if (strlen(name) != n - 2 || !knob_is_section(name)) {
        unknown_section(r, r->line, s + 1, n - 2);
        return false;
    }
    r->skip = false;
    return true;
}

/* A stripped line with a setting: true if it is one. */
static bool
setting_ok(struct reading *r, const char *s, size_t n, size_t *key_len,
    const char **value)
{
    const char *equals = memchr(s, '=', n);

    if (equals == NULL) {
        bad_line(r, s, n,
            "has no =; write key = value, the whole value on "
            "one line");
        return false;
    }
    *value = equals + 1;
    while (*value < s + n && blank(**value))
        ++*value;
    while (equals > s && blank(equals[-1]))
        equals--;
    *key_len = (size_t)(equals - s);
    if (!is_key(s, *key_len)) {
        bad_line(r, s, n,
            "does not begin with the name of a key; write "
            "key = value");
        return false;
    }
    return true;
}

/* An ini_reader: hands inih the next line, checked. */
static char *
next_line(char *to, int size, void *reading)
{
    struct reading *r = reading;
    const char     *s = r->next, *e, *value;
    size_t          n, key_len;

    ensure(size > 2);
    if (s == r->end)
        return NULL;
    e = memchr(s, '\n', (size_t)(r->end - s));
    if (e == NULL)
        e = r->end;
    r->next = e == r->end ? e : e + 1;
    if (r->line++ == 0 && e - s >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
        s += 3;
    strip(&s, &e);
    n = (size_t)(e - s);
    snprintf(to, (size_t)size, "\n");
    if (n == 0)
        return to;
    if (memchr(s, '\0', n) != NULL) {
        bad_line(r, s, n, "holds a NUL byte; the file must be plain text");
    } else if (*s == '[') {
        if (section_ok(r, s, n))
            snprintf(to, (size_t)size, "%.*s\n", (int)n, s);
    } else if (!r->skip && setting_ok(r, s, n, &key_len, &value)) {
        size_t room = (size_t)size - 3; /* for =, newline and NUL */
        size_t used = key_len + (size_t)(e - value);
        if (used <= room)
            snprintf(to, (size_t)size, "%.*s=%.*s\n", (int)key_len, s,
                (int)(e - value), value);
        else
            bad_line(r, s, n,
                "is too long; key and value may have %zu "
                "bytes together, these have %zu",
                room, used);
    }
    return to;
}

/* An ini_handler. */
static int
on_setting(
    void *reading, const char *section, const char *key, const char *value)
{
    struct reading *r = reading;
    enum conf_knob  k = knob_find(section, key);

    if (k == CONF_KNOBS) {
        unknown_key(r, r->line, section, key, value);
    } else if (r->seen[k] != 0) {
        if (error_begin(r)) {
            put_origin(r, r->line);
            buf_addf(r->errors, "%s.%s = ", section, key);
            put_value(r, k, value);
            buf_addf(r->errors,
                ": is set in line %d already; remove one of "
                "the two\n",
                r->seen[k]);
        }
    } else {
        r->seen[k] = r->line;
        set(r, r->line, k, value);
    }
    return 1;
}

/* --- the command line ---------------------------------------------------- */

static void
override(struct reading *r, const char *text)
{
    const char *equals = strchr(text, '=');
    const char *dot = strchr(text, '.');
    const char *e = text + strlen(text);
    char        section[KEY_MAX_BYTES + 1], key[KEY_MAX_BYTES + 1];

    if (equals == NULL || dot == NULL || dot > equals) {
        if (error_begin(r)) {
            buf_adds(r->errors, "-o: ");
            put_shown(r->errors, text, strlen(text));
            buf_addf(r->errors,
                ": is no setting; write section.key=value, "
                "such as %s.%s=%s\n",
                knobs[0].section, knobs[0].key, knobs[0].def);
        }
        return;
    }
    const char *s = equals + 1, *key_end = equals;
    while (blank(*s))
        s++;
    while (e > s && blank(e[-1]))
        e--;
    while (key_end > dot + 1 && blank(key_end[-1]))
        key_end--;
    snprintf(section, sizeof section, "%.*s", (int)(dot - text), text);
    snprintf(key, sizeof key, "%.*s", (int)(key_end - dot - 1), dot + 1);

    struct buf value = BUF_INIT(CONF_FILE_MAX);
    buf_add(&value, s, (size_t)(e - s));
    enum conf_knob k = knob_find(section, key);
    if (k != CONF_KNOBS)
        set(r, -1, k, buf_cstr(&value));
    else if (!knob_is_section(section))
        unknown_section(r, -1, section, strlen(section));
    else
        unknown_key(r, -1, section, key, buf_cstr(&value));
    buf_free(&value);
}

/* --- reading ------------------------------------------------------------- */

bool
config_read_text(struct config *c, const char *name, const char *text,
    size_t len, const struct config_override *overrides, size_t n_overrides,
    struct buf *errors)
{
    struct reading r = {.c = c,
        .file = name,
        .next = text,
        .end = text + len,
        .errors = errors};
    struct buf     why = BUF_INIT(1024);

    memset(c, 0, sizeof *c);
    for (unsigned k = 0; k < CONF_KNOBS; k++)
        ensure(knob_parse((enum conf_knob)k, knobs[k].def, c, &why));
    buf_free(&why);
    if (len > CONF_FILE_MAX) {
        buf_addf(
            errors, "%s: is larger than 1MiB; is it a configuration?\n", name);
        return false;
    }
    if (len > 0 && ini_parse_stream(next_line, &r, on_setting, &r) < 0) {
        buf_addf(errors, "%s: there is no memory to read it\n", name);
        return false;
    }
    for (size_t i = 0; i < n_overrides; i++)
        override(&r, overrides[i].text);
    check_config(c, r.bad, on_fault, &r);
    return r.errors_n == 0;
}

bool
config_read(struct config *c, const char *file,
    const struct config_override *overrides, size_t n_overrides,
    struct buf *errors)
{
    struct buf text = BUF_INIT(CONF_FILE_MAX + 1);
    ssize_t    n = 0;
    bool       good = false;

    if (file == NULL)
        return config_read_text(c, NULL, "", 0, overrides, n_overrides, errors);
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        buf_addf(errors,
            "%s: cannot be opened: %s; name the configuration "
            "with -c\n",
            file, strerror(errno));
        return false;
    }
    if (!buf_reserve(&text, text.max)) {
        buf_addf(errors, "%s: there is no memory to read it\n", file);
        close(fd);
        return false;
    }
    while (text.len < text.max) {
        n = read(fd, text.p + text.len, text.max - text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        text.len += (size_t)n;
    }
    if (n < 0)
        buf_addf(errors,
            "%s: cannot be read: %s; name the configuration "
            "with -c\n",
            file, strerror(errno));
    else
        good = config_read_text(
            c, file, text.p, text.len, overrides, n_overrides, errors);
    close(fd);
    buf_free(&text);
    return good;
}

void
config_keep_restart(
    struct config *next, const struct config *running, struct buf *notes)
{
    for (unsigned i = 0; i < CONF_KNOBS; i++) {
        enum conf_knob k = (enum conf_knob)i;
        if (knobs[k].reload != KNOB_RESTART)
            continue;
        if (!knob_same(k, next, running)) {
            buf_addf(notes, "%s.%s = ", knobs[k].section, knobs[k].key);
            if (!knob_is_secret(k))
                knob_print(k, next, notes);
            buf_adds(notes, ": takes effect at the next restart");
            if (!knob_is_secret(k)) {
                buf_adds(notes, "; until then it is ");
                size_t before = notes->len;
                knob_print(k, running, notes);
                if (notes->len == before)
                    buf_adds(notes, "empty");
            }
            buf_addc(notes, '\n');
        }
        knob_copy(k, next, running);
        next->origin[k] = running->origin[k];
    }
}

bool
config_list_next(const char **cursor, char *item, size_t size)
{
    const char *s = *cursor;

    while (*s == ' ')
        s++;
    size_t n = strcspn(s, " ");
    *cursor = s + n;
    if (n == 0)
        return false;
    if (n >= size)
        n = size - 1;
    memcpy(item, s, n);
    item[n] = '\0';
    return true;
}

const char *
config_choice_name(enum conf_choice choice)
{
    return (unsigned)choice < CONF_CHOICES ? knob_choices[choice].word : "?";
}

bool
config_has_redis(const struct config *c)
{
    return c->redis_host[0] != '\0' || c->redis_socket[0] != '\0';
}

uint64_t
config_stream_alarm(const struct config *c)
{
    return c->redis_stream_max / 100 * 80;
}
