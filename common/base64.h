/*
 * base64: RFC 4648 section 4. Pure.
 *
 * The decoder accepts what keys and files from outside really have: it ignores
 * white space (against section 3.3) and does without padding (section 3.2).
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

/* Decodes n characters into *len bytes. False if there is a character that is
 * neither base64 nor white space, if the padding has a wrong length, or if bits
 * after the last byte are set (section 3.5); out and *len are then undefined.
 * out has room for BASE64_DECODED(n) bytes. */
bool base64_decode(const char *p, size_t n, uint8_t *out, size_t *len);

/* Encodes n bytes. out has room for BASE64_ENCODED(n) characters and a NUL. */
void base64_encode(const void *p, size_t n, char *out);

#endif
