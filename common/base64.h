/*
 * base64: RFC 4648 section 4. Pure.
 */
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of n characters, at most; characters of n bytes. */
#define BASE64_DECODED(n) ((n) / 4 * 3 + 3)
#define BASE64_ENCODED(n) (((n) + 2) / 3 * 4)

/* White space is passed over, and padding may be missing; anything else that
 * is not base64 fails, bits that no byte has, too. out has room for
 * BASE64_DECODED(n) bytes. */
bool base64_decode(const char *p, size_t n, uint8_t *out, size_t *len);

/* BASE64_ENCODED(n) characters and a NUL. */
void base64_encode(const void *p, size_t n, char *out);

#endif
