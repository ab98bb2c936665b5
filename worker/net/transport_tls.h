/*
 * transport_tls: the transport of TLS listeners: seals and opens the records of
 * a connection whose handshake is done. Before that, bytes go to tls_queue.h.
 */
#ifndef WORKER_NET_TRANSPORT_TLS_H
#define WORKER_NET_TRANSPORT_TLS_H

#include "net/conn.h"
#include "net/record.h"
#include "net/transport.h"

/* The operations of LISTENER_TLS; transport.h describes them. */
void transport_tls_input(struct conn *c, uint8_t *p, size_t n);
bool transport_tls_wrap(
    struct conn *c, const void *p, size_t n, struct wire *w);
void transport_tls_unwrap(struct conn *c);
void transport_tls_finish(struct conn *c, struct wire *w);
void transport_tls_free(struct conn *c);
bool transport_tls_quiet(const struct conn *c);
bool transport_tls_write(struct conn *c, struct buf *out);
bool transport_tls_read(struct conn *c, struct fields *f);

/* Called when the handshake is done: stores a copy of r. c->tls is its number,
 * 0 if there was no room. */
void transport_tls_begin(struct conn *c, const struct record *r);

/* "1.3" or "1.2" and the name of the encryption; false without TLS. */
bool transport_tls_names(
    const struct conn *c, const char **version, const char **cipher);

/* Called once a second for each connection: renews old keys. Returns
 * CLOSE_REASONS, or the reason why the connection must be closed. */
enum close_reason transport_tls_check(struct conn *c);

#endif
