/*
 * proxyproto: the PROXY protocol, versions 1 and 2: one header in front of a
 * connection's bytes, in which a load balancer reports the address of its
 * client.
 *
 * Pure. Only for connections from trusted addresses: any client can write
 * such a header. Receiver's rules: the header is required (guessing whether
 * there is one would let a client forge it), and a connection the balancer
 * makes for itself (UNKNOWN, LOCAL) has its own address.
 */
#ifndef WORKER_NET_PROXYPROTO_H
#define WORKER_NET_PROXYPROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Version 1 has at most 107 bytes. Version 2 has its length in it; this is room
 * for a client certificate besides. */
#define PROXYPROTO_MAX 4096
#define PROXYPROTO_CN_MAX 65 /* with its NUL */

enum proxyproto_result {
    PROXYPROTO_INCOMPLETE,
    PROXYPROTO_PEER,   /* addr and port are the client's */
    PROXYPROTO_LOCAL,  /* the balancer speaks for itself */
    PROXYPROTO_ABSENT, /* already the first byte is that of something else */
    PROXYPROTO_ERROR   /* why: a static sentence */
};

struct proxyproto {
    uint64_t    addr[2]; /* as the registry keeps them */
    uint16_t    port;
    size_t      consumed;
    const char *why;
    /* Version 2: the client spoke TLS with the proxy; and the CN of the
     * certificate that it showed and that was verified, else "". Only some
     * proxies are trusted to report that: tls.proxy_from. */
    bool tls;
    char cn[PROXYPROTO_CN_MAX];
};

/* Looks at the n bytes that came so far; reads nothing behind them. An error
 * is reported as early as the bytes show it. */
enum proxyproto_result proxyproto_parse(
    const uint8_t *p, size_t n, struct proxyproto *out);

#endif
