/*
 * upgrade: the client's half of the WebSocket handshake, and its URL.
 *
 * RFC 6455, section 4.1. It reads and writes text, and uses no socket. Pure,
 * except that upgrade_url() calls the resolver.
 */
#ifndef SIM_UPGRADE_H
#define SIM_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/buf.h"

struct upgrade_url {
    char host[256];  /* value of the header field Host, with the port */
    char path[1024]; /* without a trailing slash */
    struct sockaddr_storage addr;
    socklen_t               addr_len;
    bool                    loopback;
    bool                    secure; /* wss:// */
};

/* Reads ws://host[:port][/path]. False, with the error in why. */
bool upgrade_url(struct upgrade_url *u, const char *text, const char **why);

struct upgrade_request {
    const char *host, *path;
    const char *identity;     /* appended to path, percent-encoded; or NULL */
    const char *subprotocols; /* comma-separated; NULL or "": none */
    const char *user;         /* Basic authentication; NULL: none */
    const char *password;
    size_t      password_len;
    const char *headers; /* further lines, each with CRLF; or NULL */
};

/* Writes the request. All connections of a process use the same key: the key
 * proves that the server speaks WebSocket, and is not a secret. */
void upgrade_write(struct buf *out, const struct upgrade_request *r);

struct upgrade_answer {
    int      status;
    char     reason[64];
    char     subprotocol[64]; /* "" if the server has chosen none */
    bool     accepted;        /* Sec-WebSocket-Accept is there and correct */
    bool     deflate;         /* permessage-deflate was accepted */
    bool     extended;        /* another extension was accepted */
    uint32_t retry_after;     /* seconds; 0 if absent */
};

/* Reads the answer. Returns the bytes of its header block; 0 if it is
 * incomplete; -1 if it is not HTTP. */
long upgrade_read(struct upgrade_answer *a, const char *p, size_t n);

#endif
