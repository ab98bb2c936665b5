/* mdoc: sentences of the tables as manual page source (mdoc(7)). */
#ifndef COMMON_MDOC_H
#define COMMON_MDOC_H

#include <stdbool.h>

#include "buf.h"

/* Writes a text escaped and filled, with each sentence on a new line and a full
 * stop at the end. capital: the first letter becomes a capital. */
void mdoc_prose(struct buf *out, const char *text, bool capital);

#endif
