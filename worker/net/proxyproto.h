/*
 * proxyproto: the PROXY protocol, versions 1 and 2: one header in front of a
 * connection's bytes, in which a load balancer reports the address of its
 * client.
 *
 * Pure. Only for connections from trusted addresses: any client can write such
 * a header. Version 1 is section 2.1 of the PROXY protocol's specification,
 * version 2 is section 2.2. A proxy that sends no header must name its client
 * in the HTTP request (forwarded.h); if neither were required, a client behind
 * a proxy could forge the header. A connection that the balancer makes for
 * itself (UNKNOWN, LOCAL) has the balancer's address.
 */
#ifndef WORKER_NET_PROXYPROTO_H
#define WORKER_NET_PROXYPROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes of a header. Version 1 has at most 107. A header of version 2
 * contains its length; the limit leaves room for a client certificate. */
#define PROXYPROTO_MAX 4096
#define PROXYPROTO_CN_MAX 65 /* bytes of a CN, with its NUL */

enum proxyproto_result {
    PROXYPROTO_INCOMPLETE,
    PROXYPROTO_PEER,   /* addr and port are the client's */
    PROXYPROTO_LOCAL,  /* the balancer's own connection, such as a health
                          check */
    PROXYPROTO_ABSENT, /* the first byte cannot begin a PROXY header */
    PROXYPROTO_ERROR   /* why: a static sentence */
};

struct proxyproto {
    uint64_t addr[2]; /* the client's address, in the form of
                         address_pack() */
    uint16_t    port;
    size_t      consumed;
    const char *why;
    /* Version 2. tls: the client used TLS towards the proxy. cn: the CN of the
     * client certificate, if the proxy has verified one, else "". Believed only
     * from proxies of tls.proxy_from. */
    bool tls;
    char cn[PROXYPROTO_CN_MAX];
};

/* Parses the n bytes that came so far. An error is reported as early as the
 * bytes show it. */
enum proxyproto_result proxyproto_parse(
    const uint8_t *p, size_t n, struct proxyproto *out);

#endif
