/* config_put: settings and their table, written out. See config.h. */
#include "config_put.h"

#include <string.h>

#include "expand.h"
#include "knob.h"
#include "mdoc.h"
#include "writer.h"

/* After a wider value the origin stands further right. */
#define VALUE_COLUMNS 24

static void
put_origin(const struct config *c, enum conf_knob k, struct buf *out)
{
    if (c->origin[k] > 0 && c->origin_file[k] > 0)
        buf_addf(out, "%s ", c->included[c->origin_file[k] - 1]);
    if (c->origin[k] > 0)
        buf_addf(out, "line %d", c->origin[k]);
    else
        buf_adds(out, c->origin[k] < 0 ? "-o" : "default");
    if (c->origin_expanded[k])
        buf_adds(out, ", with ${...}");
}

/* The setting with whose name the text begins; CONF_KNOBS if there is none. */
static enum conf_knob
knob_of(const char *text)
{
    for (unsigned k = 0; k < CONF_KNOBS; k++) {
        size_t s = strlen(knobs[k].section), n = strlen(knobs[k].key);
        if (strncmp(text, knobs[k].section, s) == 0 && text[s] == '.' &&
            strncmp(text + s + 1, knobs[k].key, n) == 0 &&
            (text[s + 1 + n] == ' ' || text[s + 1 + n] == ':'))
            return (enum conf_knob)k;
    }
    return CONF_KNOBS;
}

unsigned
config_put_places(
    const struct config *c, const char *file, const char *text, struct buf *out)
{
    unsigned n = 0;

    for (size_t len; *text != '\0'; text += len + (text[len] == '\n')) {
        enum conf_knob k = knob_of(text);
        len = strcspn(text, "\n");
        if (k != CONF_KNOBS && c->origin[k] != 0) {
            n++;
            if (c->origin[k] < 0)
                buf_adds(out, "-o: ");
            else
                buf_addf(out, "%s:%d: ",
                    c->origin_file[k] > 0 ? c->included[c->origin_file[k] - 1]
                        : file != NULL    ? file
                                          : "",
                    c->origin[k]);
        }
        buf_addf(out, "%.*s\n", (int)len, text);
    }
    return n;
}

static void
put_value(const struct config *c, enum conf_knob k, struct buf *out)
{
    size_t from = out->len;

    knob_print(k, c, out);
    if (knob_is_secret(k) && out->len > from) {
        out->len = from;
        buf_adds(out, "***");
    }
}

/* Writes a value in the syntax of the file. */
static void
put_escaped(const struct config *c, enum conf_knob k, struct buf *out)
{
    struct buf text = BUF_INIT(2 * CONF_LIST_MAX);

    put_value(c, k, &text);
    expand_escape(buf_cstr(&text), out);
    buf_free(&text);
}

void
config_put_text(const struct config *c, const char *file, struct buf *out)
{
    const char *section = "";
    size_t      widest = 0;

    for (unsigned k = 0; k < CONF_KNOBS; k++)
        if (strlen(knobs[k].key) > widest)
            widest = strlen(knobs[k].key);
    buf_addf(out, "# %s\n", file != NULL ? file : "no file");
    for (unsigned i = 0; i < CONF_KNOBS; i++) {
        enum conf_knob k = (enum conf_knob)i;
        if (strcmp(section, knobs[k].section) != 0) {
            section = knobs[k].section;
            buf_addf(out, "\n[%s]\n", section);
        }
        buf_addf(out, "%-*s = ", (int)widest, knobs[k].key);
        size_t start = out->len;
        put_escaped(c, k, out);
        while (out->len - start < VALUE_COLUMNS && buf_addc(out, ' '))
            ;
        buf_adds(out, "  # ");
        put_origin(c, k, out);
        buf_addc(out, '\n');
    }
}

static void
put_json_knob(const struct config *c, enum conf_knob k, struct writer *w)
{
    const void *p = (const char *)c + knobs[k].offset;
    struct buf  text = BUF_INIT(2 * CONF_LIST_MAX);

    writer_open(w, knobs[k].key, '{');
    put_value(c, k, &text);
    if (knobs[k].type == KNOB_FLAG)
        writer_bool(w, "value", *(const bool *)p);
    else if (knobs[k].type == KNOB_COUNT &&
        strcmp(buf_cstr(&text), "auto") != 0)
        writer_u64(w, "value", *(const uint64_t *)p);
    else
        writer_str(w, "value", buf_cstr(&text));
    if (knobs[k].type == KNOB_TIME)
        writer_u64(w, "milliseconds", *(const uint64_t *)p);
    if (knobs[k].type == KNOB_SIZE)
        writer_u64(w, "bytes", *(const uint64_t *)p);
    writer_str(w, "origin",
        c->origin[k] > 0       ? "file"
            : c->origin[k] < 0 ? "command line"
                               : "default");
    if (c->origin[k] > 0)
        writer_i64(w, "line", c->origin[k]);
    if (c->origin[k] > 0 && c->origin_file[k] > 0)
        writer_str(w, "file", c->included[c->origin_file[k] - 1]);
    if (c->origin_expanded[k])
        writer_bool(w, "expanded", true);
    writer_str(w, "reload", knob_reload_name(knobs[k].reload));
    writer_close(w);
    buf_free(&text);
}

void
config_put_json(const struct config *c, const char *file, struct buf *out)
{
    struct writer w = WRITER_INIT(out);

    writer_open(&w, NULL, '{');
    if (file != NULL)
        writer_str(&w, "file", file);
    else
        writer_null(&w, "file");
    writer_open(&w, "settings", '{');
    for (size_t s = 0; s < knob_sections_n; s++) {
        writer_open(&w, knob_sections[s].name, '{');
        for (unsigned k = 0; k < CONF_KNOBS; k++)
            if (strcmp(knobs[k].section, knob_sections[s].name) == 0)
                put_json_knob(c, (enum conf_knob)k, &w);
        writer_close(&w);
    }
    writer_close(&w);
    writer_close(&w);
}

/* --- the manual ---------------------------------------------------------- */

static const char *
placeholder(enum knob_type type)
{
    switch (type) {
    case KNOB_FLAG:
        return "Cm yes | no";
    case KNOB_COUNT:
        return "Ar number";
    case KNOB_TIME:
        return "Ar time";
    case KNOB_SIZE:
        return "Ar size";
    case KNOB_WORD:
        return "Ar word";
    case KNOB_TEXT:
        return "Ar text";
    case KNOB_LIST:
        return "Ar item ...";
    }
    return "Ar value";
}

static void
put_choices(enum conf_knob k, struct buf *out)
{
    buf_adds(out, ".Bl -tag -width 9n -compact\n");
    for (unsigned i = 0; i < CONF_CHOICES; i++)
        if (knob_choices[i].knob == k) {
            buf_addf(out, ".It Cm %s\n", knob_choices[i].word);
            mdoc_prose(out, knob_choices[i].doc, true);
            /* The text of a choice may lack a full stop in the table. */
            out->len -= out->len > 0 && out->p[out->len - 1] == '\n';
            buf_adds(out,
                out->len > 0 && out->p[out->len - 1] == '.' ? "\n" : ".\n");
        }
    buf_adds(out, ".El\n.Pp\n");
}

static void
put_manual_knob(enum conf_knob k, struct buf *out)
{
    const struct knob *knob = &knobs[k];

    buf_addf(out, ".It Cm %s No = %s\n", knob->key, placeholder(knob->type));
    mdoc_prose(out, knob->doc, false);
    if (knob->type == KNOB_WORD)
        put_choices(k, out);
    if (knob->def[0] == '\0')
        buf_adds(out, "Empty by default.\n");
    else if (knob->min == NULL)
        buf_addf(out, "Default\n.Li %s .\n", knob->def);
    else
        buf_addf(out, "Default\n.Li %s ,\n%sfrom\n.Li %s\nto\n.Li %s .\n",
            knob->def, knob_takes_auto(k) ? "or " : "",
            knob_takes_auto(k) ? "1" : knob->min, knob->max);
    switch (knob->reload) {
    case KNOB_LIVE:
        buf_adds(out, "A reload changes it at once.\n");
        break;
    case KNOB_FRESH:
        buf_adds(out, "A reload changes it for new connections.\n");
        break;
    case KNOB_RESTART:
        buf_adds(out, "A change needs a restart.\n");
        break;
    }
}

void
config_put_manual(struct buf *out)
{
    for (size_t s = 0; s < knob_sections_n; s++) {
        buf_addf(out, ".Ss [%s]\\&\n", knob_sections[s].name);
        mdoc_prose(out, knob_sections[s].doc, false);
        buf_adds(out, ".Bl -tag -width Ds\n");
        for (unsigned k = 0; k < CONF_KNOBS; k++)
            if (strcmp(knobs[k].section, knob_sections[s].name) == 0)
                put_manual_knob((enum conf_knob)k, out);
        buf_adds(out, ".El\n");
    }
}
