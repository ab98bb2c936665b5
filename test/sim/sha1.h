/*
 * sha1: the digest by which a server proves that it has understood a WebSocket
 * handshake.
 *
 * FIPS 180-4, in one call, for the few dozen bytes of Sec-WebSocket-Accept
 * (RFC 6455, section 4.2.2); and base64 (RFC 4648), in which it is sent.
 * Neither is used to keep a secret. Pure.
 */
#ifndef SIM_SHA1_H
#define SIM_SHA1_H

#include <stddef.h>
#include <stdint.h>

void sha1(uint8_t digest[20], const void *p, size_t n);

/* Writes 4 * ceil(n / 3) characters and a NUL; returns the number of
 * characters. */
size_t base64(char *out, const void *p, size_t n);

#endif
