/*
 * handshake: the opening handshake, which makes a TCP connection a session or
 * refuses it.
 *
 * OCPP-J 1.6 section 3.1 and 3.2, RFC 6455 section 4.2. Every refusal is
 * answered with its HTTP status, and kept as in refusals.h. While the
 * registry is busy (registry.h) a handshake waits.
 */
#ifndef WORKER_SESSION_HANDSHAKE_H
#define WORKER_SESSION_HANDSHAKE_H

#include "net/conn.h"

struct auth_redis_answer;

/* A refused connection is closed after this time, whatever close_timeout is. */
#define HANDSHAKE_LINGER_MS 1000

/* Begins the handshake of a new connection. Takes over fd. */
void handshake_begin(
    int fd, enum listener_kind kind, const uint64_t addr[2], uint16_t port);

/* Called when the address of the peer is known, from the socket or from a PROXY
 * header. False if the connection was refused. */
bool handshake_enter(struct conn *c);

/* Bytes of a connection in HANDSHAKE. Bytes behind the request are passed to
 * the session. */
void handshake_input(struct conn *c, const uint8_t *p, size_t n);

/* Called with the answer of Redis to the question about the credentials. */
void handshake_answered(struct conn *c, struct auth_redis_answer *answer);

/* Called when a connection in HANDSHAKE was taken over from another process. */
void handshake_inherited(struct conn *c);

/* Tries handshakes again that found the registry busy. Called in each tick. */
void handshake_tick(void);

/* Refuses the handshake: answers with the status and the sentence of the
 * reason, records the refusal, and closes. detail: a static sentence for the
 * operator, or NULL. status 0 means the status of the reason. */
void handshake_refuse(
    struct conn *c, enum refuse_reason reason, int status, const char *detail);

#endif
