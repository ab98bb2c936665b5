/*
 * address: an IP address as the registry and the counters keep it: two words
 * in network order, IPv6 or IPv4 mapped into it. Pure.
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_LEN 64 /* bytes of an address as text, with its NUL */

/* Stores the address of a socket. addr: 16 bytes in network order; an IPv4
 * address is written as ::ffff:a.b.c.d. port: in host order. */
void address_pack(
    const struct sockaddr_storage *ss, uint64_t addr[2], uint16_t *port);

/* "192.0.2.1:1234", "[2001:db8::1]:1234"; without the port if it is 0. */
void address_text(char out[ADDRESS_LEN], const uint64_t addr[2], uint16_t port);

#endif
