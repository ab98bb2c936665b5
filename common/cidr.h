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

#define CIDR_LEN 56 /* of the text, with its NUL */

struct cidr {
    uint64_t addr[2];
    uint8_t  bits; /* of 128 that must agree */
};

/* Without a slash one address is meant. Bits behind the prefix are cleared.
 * False if the text is no range. */
bool cidr_parse(const char *text, struct cidr *out);

/* addr: as of address_pack(), as everywhere below. */
bool cidr_has(const struct cidr *c, const uint64_t addr[2]);

/* The network of an address: bits of an IPv4 address, or of an IPv6 one. */
struct cidr cidr_around(const uint64_t addr[2], unsigned four, unsigned six);

/* An IPv4 address; one of 127.0.0.0/8 or ::1. */
bool cidr_is_four(const uint64_t addr[2]);
bool cidr_is_loopback(const uint64_t addr[2]);

/* As cidr_parse() takes it. */
void cidr_text(const struct cidr *c, char out[CIDR_LEN]);

#endif
