/*
 * base64: RFC 4648 section 4. Pure.
 */
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* BASE64_DECODED: the most bytes that n characters decode to. BASE64_ENCODED:
   the characters that n bytes encode to. */
#define BASE64_DECODED(n) ((n) / 4 * 3 + 3)
#define BASE64_ENCODED(n) (((n) + 2) / 3 * 4)

/* White space is ignored, and padding may be missing. Any other character that
 * is not base64 is an error, and so are set bits behind the last byte. out has
 * room for BASE64_DECODED(n) bytes. */
bool base64_decode(const char *p, size_t n, uint8_t *out, size_t *len);

/* out has room for BASE64_ENCODED(n) characters and a NUL. */
void base64_encode(const void *p, size_t n, char *out);

#endif
