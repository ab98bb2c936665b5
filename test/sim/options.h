/*
 * options: what the user asked for.
 *
 * The options of the fleet stand in options.def; the struct, the parser,
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
    /* Made of them. */
    struct upgrade_url target;
    bool               storming; /* --storm was given */
    bool               load;     /* --rate or --messages: nothing else */
    int                action;   /* of --message; -1: mix */
    unsigned           spoken;   /* enum message_version; VERSIONS: mixed */
    char               header_lines[1024];
};

/* Exits with 2 and a message on wrong usage, with 0 after --help. */
void options_parse(struct options *o, int argc, char **argv);

/* The identity of a number, by the pattern; at most size - 1 bytes. */
void options_identity(
    const struct options *o, uint64_t number, char *out, size_t size);

/* Time as the options take it: seconds, or with ms, s, m or h. */
bool options_span(const char *text, double *seconds);

/* Reports the error and exits with 2. */
void options_wrong(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

#endif
