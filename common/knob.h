/*
 * knob: one setting of ocppd.conf(5), made from conf.def.
 *
 * The table knobs[] has the name, the type and the range of each knob, and its
 * place in struct config. Code that parses, checks, prints or documents
 * settings loops over the table, and contains no names of settings. Pure: no
 * file, no clock, no state.
 */
#ifndef COMMON_KNOB_H
#define COMMON_KNOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "config.h"

enum knob_type {
    KNOB_FLAG,
    KNOB_COUNT,
    KNOB_TIME,
    KNOB_SIZE,
    KNOB_WORD,
    KNOB_TEXT,
    KNOB_LIST
};

enum knob_reload { KNOB_LIVE, KNOB_FRESH, KNOB_RESTART };

struct knob {
    const char      *section;
    const char      *key;
    enum knob_type   type;
    enum knob_reload reload;
    const char      *def; /* default, as written in the file */
    const char      *min; /* COUNT, TIME, SIZE: inclusive, as written */
    const char      *max;
    const char      *doc;    /* what it does, one or more sentences */
    size_t           offset; /* of the field in struct config */
};

struct knob_choice {
    enum conf_knob knob;
    const char    *word;
    const char    *doc;
};

struct knob_section {
    const char *name;
    const char *doc;
};

extern const struct knob         knobs[CONF_KNOBS];
extern const struct knob_choice  knob_choices[CONF_CHOICES];
extern const struct knob_section knob_sections[];
extern const size_t              knob_sections_n;

/* The word of a choice; "?" for an unknown number. */
const char *knob_choice_name(enum conf_choice choice);

/* The knob with this name; CONF_KNOBS if there is none. knob_is_section(): true
 * if there is a section of this name. */
enum conf_knob knob_find(const char *section, const char *key);
bool           knob_is_section(const char *name);

/* The name of the section, and the knob, that a misspelt word may have meant;
 * NULL if none is near enough. section NULL: looks through all sections. */
const char        *knob_near_section(const char *name);
const struct knob *knob_near_key(const char *section, const char *key);

/* Reads the text of a value into its field. On false the field is as it was
 * and why has the error and the remedy: "error; remedy". */
bool knob_parse(
    enum conf_knob k, const char *text, struct config *c, struct buf *why);

/* Appends the value as it is written in the file. */
void knob_print(enum conf_knob k, const struct config *c, struct buf *out);

/* knob_same(): true if two configurations have the same value. knob_copy():
   copies one value. */
bool knob_same(
    enum conf_knob k, const struct config *a, const struct config *b);
void knob_copy(enum conf_knob k, struct config *to, const struct config *from);

bool knob_takes_auto(enum conf_knob k);       /* a COUNT whose 0 is written
                                                 `auto` */
bool        knob_is_secret(enum conf_knob k); /* its value is never shown */
const char *knob_reload_name(enum knob_reload reload);

#endif
