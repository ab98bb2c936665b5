/*
 * tls_queue: schedules the TLS handshakes of this worker so that other
 * connections are not delayed.
 *
 * A handshake step costs 0.05 to 0.9 ms of CPU and a handshake in flight 43 KB.
 * So received bytes only put the handshake into a queue. At the end of each
 * turn of the loop, steps are done for at most tls.handshake_budget. At most
 * tls.handshakes are in flight; the others wait in the order of their first
 * bytes. If the handshakes in flight make no progress, one is displaced: the
 * oldest silent one of the address that has the most of them.
 */
#ifndef WORKER_NET_TLS_QUEUE_H
#define WORKER_NET_TLS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "net/tls.h"

/* Maps the memory for keys and loads the first context from the bundle.
 * capacity: connections. The bundle stays open and is read again when settings
 * change. False with a sentence in why: TLS listeners must stay closed. The
 * self-test of this program and its OpenSSL was run by the checker
 * (master/workers/tls_keeper.h), in a process that has ended: its handshakes
 * would leave 100 KB in each worker. */
bool tls_queue_open(uint32_t capacity, int bundle, struct buf *why);
/* Loads a new bundle, and takes over its descriptor. An error is logged, and
 * the former context stays. */
void tls_queue_renew(int bundle);
/* Once a second. */
void tls_queue_tick(void);

/* Bytes of a connection whose handshake is not done. */
void tls_queue_input(struct conn *c, const uint8_t *p, size_t n);
/* For a connection that is CLOSING because it was refused: sends an alert
 * unencrypted, if the handshake has not sent anything. (After a ServerHello of
 * TLS 1.3 it would have to be encrypted.) */
void tls_queue_alert(struct conn *c, enum record_alert alert);
/* The handshake took too long: refuses the connection. */
void tls_queue_timed_out(struct conn *c);
/* True if the TLS handshake has waited for the client for a second, or has no
 * byte of it yet. */
bool tls_queue_is_silent(const struct conn *c);
/* The connection ended during its handshake. */
void tls_queue_broken(struct conn *c);
/* The busy part of the connection is freed. */
void tls_queue_drop(struct conn *c);

/* True if tls_queue_open() was called, which a worker without TLS does not
   do. */
bool tls_queue_on(void);

/* The handshakes in flight. Each holds 43 KB of the heap. */
unsigned tls_queue_in_flight(void);
/* The most that were in flight at once since the last call. */
unsigned tls_queue_peak(void);

/* HANDSHAKE: writes the bytes of a handshake that was not answered yet, or the
 * result of one that is done. False if it is in progress, which cannot be
 * moved.
 */
bool tls_queue_write(const struct conn *c, struct buf *out);
bool tls_queue_read(struct conn *c, struct fields *f);
/* True if such a handshake exists whose client sent something in the last five
   seconds. */
bool tls_queue_under_way(void);

/* The result of the handshake, until the connection is OPEN; NULL without TLS
 * or while the handshake is not done. */
const struct tls_peer *tls_queue_peer(const struct conn *c);

#endif
