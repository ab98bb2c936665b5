/*
 * reading: the state of reading a configuration: the present line, and the
 * errors so far. Private to config_read.c and its parts.
 *
 * Every error is one line with the place, the setting, the fault and the
 * remedy. Values of SECRET settings are never shown.
 */
#ifndef COMMON_READING_H
#define COMMON_READING_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

#define KEY_MAX_BYTES 49 /* inih cuts names after these */

/* The place of a setting: a line of a file, or the command line. */
struct place {
    int      line; /* from 1; 0: a default, -1: -o */
    unsigned file; /* 0: the main file, else one more than in c->included */
};

struct reading {
    struct config *c;
    const char    *file; /* name of the main file for errors; NULL: none */
    const char    *next; /* the rest of the text of the present file */
    const char    *end;
    struct place   at;      /* the line that inih works on */
    bool           skip;    /* in an unknown section, already reported */
    bool           files;   /* may open others: include, ${file:} */
    bool           partial; /* config_read_partial() */
    bool           bad[CONF_KNOBS]; /* had an error, so no check that concerns
                                       several knobs uses it */
    /* The place where each knob was set last, with or without an error: [0] in
       the main file, [1] in included files. */
    struct place seen[2][CONF_KNOBS];
    unsigned     included_n;
    struct buf  *errors;
    unsigned     errors_n;
};

/* Opens an error line, to be ended by a newline in r->errors; false if there
 * were enough already. */
bool reading_error(struct reading *r);
/* Append to that line: "FILE:LINE: " or "-o: "; a text from outside, printable
 * and cut; the value of a setting, which is *** for a SECRET. */
void reading_put_place(struct reading *r, struct place at);
void reading_put_shown(struct reading *r, const char *s, size_t n);
void reading_put_value(struct reading *r, enum conf_knob k, const char *value);

/* Reports an error of the current line as a whole. */
void reading_bad_line(struct reading *r, const char *s, size_t n,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Report a key or a section that does not exist, with the one that was probably
   meant. */
void reading_unknown_key(struct reading *r, struct place at,
    const char *section, const char *key, const char *value);
void reading_unknown_section(
    struct reading *r, struct place at, const char *name, size_t n);

/* A check_fault (config_check.h): reports a value that could be read but is not
 * valid. arg: the reading. */
void reading_fault(void *arg, enum conf_knob k, const char *text);

#endif
