/*
 * address: where to listen, as it is written in ocppd.conf(5).
 *
 * 192.0.2.1:8080, [2001:db8::1]:8080, and *:8080 for every IPv4 address.
 * Numbers only: what a name stands for could change while the daemon runs.
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* False if text is no such address, or its port 0. */
bool address_parse(const char *text, struct sockaddr_storage *address,
    socklen_t *size);

#endif
