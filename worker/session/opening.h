/*
 * opening: the connections of this worker in their opening handshake.
 *
 * While a limit on handshakes is reached, an incomplete handshake gives its
 * place to a new connection. Otherwise clients that connect and send nothing
 * would keep all others out for websocket.handshake_timeout. A handshake may be
 * displaced if the gateway has waited for its client for OPENING_SILENT_MS: the
 * one whose address, and then whose network, has the most handshakes in
 * progress, and of equal ones the oldest. For each new connection only
 * OPENING_LOOKS handshakes are compared, which are chosen at random: the
 * clients that fill the places have most of them.
 */
#ifndef WORKER_SESSION_OPENING_H
#define WORKER_SESSION_OPENING_H

#include <stdbool.h>

#include "close.h"
#include "net/conn.h"

#define OPENING_LOOKS 32
#define OPENING_SILENT_MS 1000

/* A connection has entered the state HANDSHAKE, or leaves it. Both count it in
 * the gauge. Without memory it is counted, but is never displaced. */
void opening_begin(struct conn *c);
void opening_end(struct conn *c);

/* c would be refused for this reason. Refuses another handshake instead, if
 * that one counts against the same limit and its address does not have fewer
 * handshakes in progress. False if none was found, and for any other reason
 * than a limit on handshakes. */
bool opening_displace(const struct conn *c, enum refuse_reason reason);

#endif
