/*
 * expand: ${NAME} and ${file:PATH} in the value of a setting.
 *
 *   ${NAME}           the environment variable of the process
 *   ${NAME:-DEFAULT}  the same, or DEFAULT where it is unset or empty
 *   ${file:PATH}      the first line of a file, at most 64 KiB long
 *   $${               the two characters ${
 *
 * The replacement itself is not expanded again.
 */
#ifndef COMMON_EXPAND_H
#define COMMON_EXPAND_H

#include <stdbool.h>

#include "buf.h"

enum expand_result {
    EXPAND_PLAIN,   /* there was nothing to replace */
    EXPAND_DONE,    /* something was replaced */
    EXPAND_MISSING, /* a variable is unset, or a file cannot be read */
    EXPAND_WRONG    /* a ${ that has none of these forms */
};

/* Appends the expanded value to out. files: ${file:} may open files. In the
 * last two cases why has "what is wrong; what would be right". */
enum expand_result expand_value(
    const char *value, bool files, struct buf *out, struct buf *why);

/* Appends a value in a form that expand_value() turns back into it. */
void expand_escape(const char *value, struct buf *out);

#endif
