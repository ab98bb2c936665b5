/*
 * certificate: security profiles: which one a connection has, and whether its
 * client certificate is that of the identity.
 *
 * Profile 1 is plain, 2 is TLS, 3 is TLS with a client certificate. TLS may
 * have ended in a proxy of tls.proxy_from, which reports it in its PROXY
 * header. The certificate was verified before; here its names are compared.
 */
#ifndef WORKER_ACCESS_CERTIFICATE_H
#define WORKER_ACCESS_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

#include "close.h"
#include "net/conn.h"
#include "ocpp/json.h"
#include "writer.h"

/* In the HTTP handshake: REFUSE_REASONS if profile and names are right. */
enum refuse_reason certificate_check(
    const struct conn *c, const char *name, size_t len, const char **detail);
/* The certificate itself names the identity: no key is asked for. */
bool certificate_proves(const struct conn *c);
/* The identity is claimed: its profile and the end of its certificate are
 * remembered in the registry. */
void certificate_opened(struct conn *c);
/* Members of the connected event and of `show`. HANDSHAKE only. */
void certificate_put(struct writer *w, const struct conn *c);

/* tls.client_name = serial: does a BootNotification hold the serial number
 * that the certificate names? True where there is nothing to compare. */
bool certificate_booted(
    struct conn *c, const struct json *boot, uint32_t payload);
/* The connection is about to become DEAD. */
void certificate_gone(struct conn *c);

/* The name that the BootNotification is compared with, in a connection's
 * record (moving.h). */
void certificate_write(const struct conn *c, struct buf *out);
bool certificate_read(struct conn *c, struct fields *f);

/* Once a second: tls.close_expired. */
enum close_reason certificate_tick(const struct conn *c);

#endif
