/*
 * options: the command line.
 *
 * The options of the fleet are listed in options.def; the struct, the parser,
 * the defaults and the help are made from it.
 */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "upgrade.h"

#define OPTIONS_FLAG bool
#define OPTIONS_COUNT uint64_t
#define OPTIONS_RATE double
#define OPTIONS_SPAN double
#define OPTIONS_SHARE double
#define OPTIONS_TEXT const char *

struct options {
#define HEADING(text)
#define OPTION(name, letter, kind, field, arg, def, help) OPTIONS_##kind field;
#include "options.def"
#undef OPTION
#undef HEADING
    /* The following members are computed from the options. */
    struct upgrade_url target;
    bool               storming; /* --storm was given */
    bool load; /* --rate or --messages was given: the charge points send only
                  the load */
    int      action; /* action of --message; -1: mix */
    unsigned spoken; /* enum message_version; VERSIONS: mixed */
    char     header_lines[1024];
};

/* Exits with 2 and a message on wrong usage, with 0 after --help. */
void options_parse(struct options *o, int argc, char **argv);

/* Writes the identity of a number by the pattern; at most size - 1 bytes. */
void options_identity(
    const struct options *o, uint64_t number, char *out, size_t size);

/* Reads a time: a number of seconds, or with the unit ms, s, m or h. */
bool options_span(const char *text, double *seconds);

/* Reports the error and exits with 2. */
void options_wrong(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

#endif
