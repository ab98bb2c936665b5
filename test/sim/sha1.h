/*
 * sha1: the digest that proves a WebSocket handshake was understood.
 *
 * FIPS 180-4, one call, for the few dozen bytes of Sec-WebSocket-Accept
 * (RFC 6455, section 4.2.2); and base64 (RFC 4648), which travels with it.
 * Nothing here is used for secrecy. Pure.
 */
#ifndef SIM_SHA1_H
#define SIM_SHA1_H

#include <stddef.h>
#include <stdint.h>

void sha1(uint8_t digest[20], const void *p, size_t n);

/* Writes 4 * ceil(n / 3) characters and a NUL; returns their count. */
size_t base64(char *out, const void *p, size_t n);

#endif
