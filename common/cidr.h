/*
 * cidr: a range of addresses, "192.0.2.0/24" or "2001:db8::/32". Pure.
 *
 * Addresses are as the registry keeps them (address_pack): IPv6, or IPv4
 * mapped into it, in network order; so one comparison serves both.
 */
#ifndef COMMON_CIDR_H
#define COMMON_CIDR_H

#include <stdbool.h>
#include <stdint.h>

#define CIDR_LEN 56 /* bytes of a range as text, with its NUL */

struct cidr {
    uint64_t addr[2];
    uint8_t  bits; /* length of the prefix in bits, 0 to 128 */
};

/* Reads a range. A text without a slash is a range of one address. Bits after
 * the prefix are cleared. False if the text is not a range. */
bool cidr_parse(const char *text, struct cidr *out);

/* True if the address is in the range. addr, here and below, has the form of
 * address_pack(). */
bool cidr_has(const struct cidr *c, const uint64_t addr[2]);

/* The network of an address, by a prefix of `four` bits for an IPv4 address and
   of `six` bits for an IPv6 one. */
struct cidr cidr_around(const uint64_t addr[2], unsigned four, unsigned six);

/* cidr_is_four(): true for an IPv4 address. cidr_is_loopback(): true for an
 * address in 127.0.0.0/8, and for ::1. */
bool cidr_is_four(const uint64_t addr[2]);
bool cidr_is_loopback(const uint64_t addr[2]);

/* Writes the range in the form that cidr_parse() reads. */
void cidr_text(const struct cidr *c, char out[CIDR_LEN]);

#endif
