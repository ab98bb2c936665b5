/*
 * tls_queue: the TLS handshakes of this worker, between the others' turns.
 *
 * A handshake step costs 0.05 to 0.9 ms of CPU and a handshake in flight 43 KB.
 * So bytes only put a handshake into a queue; behind the events of each turn
 * of the loop, steps are made for tls.handshake_budget at most. More than
 * tls.handshakes of them are not begun: the others wait in the order of their
 * first bytes, and if the handshakes in flight make no progress, the oldest
 * silent one of the address that has most of them makes room.
 */
#ifndef WORKER_NET_TLS_QUEUE_H
#define WORKER_NET_TLS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "net/tls.h"

/* Runs the self-test, maps the memory for keys and loads the first context
 * out of the bundle. capacity: connections. False with a sentence: TLS
 * listeners must stay closed. */
bool tls_queue_open(uint32_t capacity, int bundle, struct buf *why);
/* A new bundle, which becomes this file's. On an error the former context
 * stays. */
void tls_queue_renew(int bundle);
/* Once a second. */
void tls_queue_tick(void);

/* Bytes of a connection whose handshake is not done. */
void tls_queue_input(struct conn *c, const uint8_t *p, size_t n);
/* CLOSING, refused: an alert in plain bytes, if the handshake has sent
 * nothing. (Behind a ServerHello of TLS 1.3 it would have to be encrypted.) */
void tls_queue_alert(struct conn *c, enum record_alert alert);
/* Its handshake took too long: refused. */
void tls_queue_timed_out(struct conn *c);
/* The connection ended during its handshake. */
void tls_queue_broken(struct conn *c);
/* The busy part of the connection is freed. */
void tls_queue_drop(struct conn *c);

/* A worker without TLS has called tls_queue_open() never. */
bool tls_queue_on(void);

/* HANDSHAKE: what has arrived of a handshake to which nothing was answered yet,
 * or what one that is done found out. False: one is under way, which cannot be
 * moved. */
bool tls_queue_write(const struct conn *c, struct buf *out);
bool tls_queue_read(struct conn *c, struct fields *f);
/* Such a handshake, whose client was not silent for five seconds. */
bool tls_queue_under_way(void);

/* What the handshake found out, until the connection is OPEN; NULL without
 * TLS or while it is not done. */
const struct tls_peer *tls_queue_peer(const struct conn *c);

#endif
