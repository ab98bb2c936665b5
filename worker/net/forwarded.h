/*
 * forwarded: the client's address behind an HTTP proxy, from the headers
 * X-Forwarded-For and Forwarded (RFC 7239).
 *
 * Each proxy adds the address it was connected from at the right end of the
 * list, and anything left of what a trusted proxy added may be an invention
 * of the client. So the list is read from the right, past the addresses of
 * trusted proxies, up to the first other one: that is the client.
 *
 * A proxy usually sets one of the two headers and passes the other one on as
 * the client sent it. If both are present, they must name the same client.
 *
 * Pure. Only for requests that came from a trusted proxy.
 */
#ifndef WORKER_NET_FORWARDED_H
#define WORKER_NET_FORWARDED_H

#include <stdbool.h>
#include <stdint.h>

#include "net/http.h"

enum forwarded_result {
    FORWARDED_NONE,   /* neither header is present */
    FORWARDED_CLIENT, /* addr and port are the client's */
    FORWARDED_ERROR   /* why: a static sentence */
};

struct forwarded {
    uint64_t addr[2]; /* the client's address, in the form of
                         address_pack() */
    uint16_t    port; /* 0: not given */
    const char *why;
};

/* trusted(): returns true if an address is that of a trusted proxy. */
enum forwarded_result forwarded_client(const struct http_request *r,
    bool (*trusted)(const uint64_t addr[2]), struct forwarded *out);

#endif
