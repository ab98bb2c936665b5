/*
 * transport_tls: the records of a connection whose handshake is done, and the
 * way of its bytes before that (tls_queue.h).
 */
#ifndef WORKER_NET_TRANSPORT_TLS_H
#define WORKER_NET_TRANSPORT_TLS_H

#include "net/conn.h"
#include "net/record.h"
#include "net/transport.h"

/* The operations of LISTENER_TLS. */
void transport_tls_input(struct conn *c, uint8_t *p, size_t n);
bool transport_tls_wrap(
    struct conn *c, const void *p, size_t n, struct wire *w);
void transport_tls_unwrap(struct conn *c);
void transport_tls_finish(struct conn *c, struct wire *w);
void transport_tls_free(struct conn *c);
bool transport_tls_quiet(const struct conn *c);
bool transport_tls_write(struct conn *c, struct buf *out);
bool transport_tls_read(struct conn *c, struct fields *f);

/* The handshake is done: c->tls is the number of a copy of r, 0 if there is
 * no room. */
void transport_tls_begin(struct conn *c, const struct record *r);

/* "1.3" or "1.2" and the name of the encryption; false without TLS. */
bool transport_tls_names(
    const struct conn *c, const char **version, const char **cipher);

/* Once a second for each connection: renews keys by age; CLOSE_REASONS to go
 * on, else why it must be closed. */
enum close_reason transport_tls_check(struct conn *c);

#endif
