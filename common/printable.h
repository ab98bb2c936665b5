/*
 * printable: text from outside, made safe for a terminal and the log.
 *
 * A terminal obeys more than ASCII's control characters: U+0080 to U+009F
 * begin escape sequences as ESC does (U+009B is CSI), and the bidirectional
 * controls let a line look like another one. Names, paths and payloads from
 * outside pass through here before they reach a terminal or a log. Pure.
 */
#ifndef COMMON_PRINTABLE_H
#define COMMON_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* Length of the character that p[0..n) begins with, n > 0; *good: it can be
 * shown. What is not UTF-8 has the length 1. */
size_t printable_next(const char *p, size_t n, bool *good);

/* Each byte of what cannot be shown becomes %XX, in capitals. Cut between two
 * characters to size - 1 bytes, and NUL-terminated; "..." at the end marks a
 * text that was cut. Returns the length. */
size_t printable_percent(char *out, size_t size, const char *p, size_t n);

/* Text of any origin, JSON or not. What cannot be shown becomes \uXXXX, which
 * in a JSON string means the same, or ? where it is not UTF-8. Line ends and
 * tabs stay. */
bool printable_escape(struct buf *out, const char *p, size_t n);

/* In place, for one line: each byte of what cannot be shown becomes ?. */
void printable_mask(char *p, size_t n);

#endif
