/*
 * printable: text from outside, made safe for a terminal and the log.
 *
 * ASCII's control characters are not the only dangerous ones: U+0080 to U+009F
 * begin escape sequences as ESC does (U+009B is CSI), and bidirectional
 * controls can make a line look like another one. Names, paths and payloads
 * from outside go through these functions before they are written to a terminal
 * or a log. Pure.
 */
#ifndef COMMON_PRINTABLE_H
#define COMMON_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* The length in bytes of the first character of p[0..n), n > 0. *good: it can
 * be shown. A byte that is not UTF-8 has the length 1. */
size_t printable_next(const char *p, size_t n, bool *good);

/* Each byte of a character that cannot be shown becomes %XX, in capitals. Cut
 * between two characters to size - 1 bytes, and NUL-terminated; "..." at the
 * end marks a text that was cut. Returns the length. */
size_t printable_percent(char *out, size_t size, const char *p, size_t n);

/* Appends a text, JSON or not. A character that cannot be shown becomes \uXXXX,
 * which has the same meaning in a JSON string; a byte that is not UTF-8 becomes
 * ?. Line feeds and tabs stay, and a carriage return becomes a blank. False
 * without memory. */
bool printable_escape(struct buf *out, const char *p, size_t n);

/* Changes one line in place: each byte of a character that cannot be shown
   becomes ?. */
void printable_mask(char *p, size_t n);

#endif
