/* reading: one reading of a configuration. See reading.h. */
#include "reading.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "knob.h"

#define SHOWN_BYTES 60 /* bytes of a wrong value that its error shows */

/* The name of a file of this reading. */
static const char *
file_name(const struct reading *r, unsigned file)
{
    if (file == 0 || file > CONF_INCLUDED_MAX)
        return r->file != NULL ? r->file : "-o";
    return r->c->included[file - 1];
}

bool
reading_error(struct reading *r)
{
    if (++r->errors_n == CONF_ERRORS + 1)
        buf_addf(r->errors, "%s: there are more errors; correct these first\n",
            r->file != NULL ? r->file : "-o");
    return r->errors_n <= CONF_ERRORS;
}

/* Appends text without characters that a terminal interprets. */
static void
put_clean(struct buf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_addc(out, (char)(s[i] >= 0x20 && s[i] < 0x7f ? s[i] : '?'));
}

/* Appends the value that the operator wrote, cut to SHOWN_BYTES, so that it can
   be recognized. */
void
reading_put_shown(struct reading *r, const char *s, size_t n)
{
    put_clean(r->errors, s, n > SHOWN_BYTES ? SHOWN_BYTES : n);
    if (n > SHOWN_BYTES)
        buf_adds(r->errors, "...");
}

void
reading_put_value(struct reading *r, enum conf_knob k, const char *value)
{
    if (knob_is_secret(k))
        buf_adds(r->errors, "***");
    else
        reading_put_shown(r, value, strlen(value));
}

void
reading_bad_line(
    struct reading *r, const char *s, size_t n, const char *fmt, ...)
{
    char    text[256];
    va_list ap;

    if (!reading_error(r))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    reading_put_place(r, r->at);
    reading_put_shown(r, s, n);
    buf_addf(r->errors, ": %s\n", text);
}

void
reading_put_place(struct reading *r, struct place at)
{
    if (at.line > 0)
        buf_addf(r->errors, "%s:%d: ", file_name(r, at.file), at.line);
    else if (at.line < 0 || r->file == NULL)
        buf_adds(r->errors, "-o: ");
    else
        buf_addf(r->errors, "%s: ", r->file);
}

void
reading_fault(void *arg, enum conf_knob k, const char *text)
{
    struct reading *r = arg;
    struct buf      value = BUF_INIT(2 * CONF_LIST_MAX);

    if (!reading_error(r))
        return;
    reading_put_place(r, (struct place){r->c->origin[k], r->c->origin_file[k]});
    knob_print(k, r->c, &value);
    buf_addf(r->errors, "%s.%s = ", knobs[k].section, knobs[k].key);
    reading_put_value(r, k, buf_cstr(&value));
    buf_adds(r->errors, r->c->origin[k] == 0 ? " (the default): " : ": ");
    put_clean(r->errors, text, strlen(text));
    buf_addc(r->errors, '\n');
    buf_free(&value);
}

void
reading_unknown_key(struct reading *r, struct place at, const char *section,
    const char *key, const char *value)
{
    const struct knob *near = knob_near_key(section, key);
    const struct knob *other = knob_near_key(NULL, key);

    if (!reading_error(r))
        return;
    reading_put_place(r, at);
    if (section[0] != '\0') {
        reading_put_shown(r, section, strlen(section));
        buf_adds(r->errors, ".");
    }
    reading_put_shown(r, key, strlen(key));
    buf_adds(r->errors, " = ");
    reading_put_shown(r, value, strlen(value));
    if (section[0] == '\0')
        buf_adds(r->errors, ": stands before the first section; ");
    else
        buf_adds(r->errors, ": there is no such key; ");
    if (other != NULL && strcmp(other->key, key) == 0)
        buf_addf(
            r->errors, "%s belongs in section [%s]\n", key, other->section);
    else if (section[0] == '\0')
        buf_addf(r->errors, "write a line like [%s] above it\n",
            other != NULL ? other->section : knob_sections[0].name);
    else if (near != NULL)
        buf_addf(r->errors, "did you mean %s?\n", near->key);
    else
        buf_addf(r->errors, "ocppd.conf(5) lists the keys of [%s]\n", section);
}

void
reading_unknown_section(
    struct reading *r, struct place at, const char *name, size_t n)
{
    char        copy[KEY_MAX_BYTES + 1];
    const char *near = NULL;

    if (!reading_error(r))
        return;
    if (n < sizeof copy) {
        memcpy(copy, name, n);
        copy[n] = '\0';
        near = knob_near_section(copy);
    }
    reading_put_place(r, at);
    buf_adds(r->errors, "[");
    reading_put_shown(r, name, n);
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
