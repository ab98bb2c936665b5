/*
 * certificate: the security profile of a connection, and the check that its
 * client certificate belongs to the identity.
 *
 * Profile 1 is plain, 2 is TLS, 3 is TLS with a client certificate. TLS may
 * have ended in a proxy of tls.proxy_from, which reports it in its PROXY
 * header. libssl or the proxy has verified the certificate; here its names are
 * compared.
 */
#ifndef WORKER_ACCESS_CERTIFICATE_H
#define WORKER_ACCESS_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

#include "close.h"
#include "net/conn.h"
#include "ocpp/json.h"
#include "writer.h"

/* capacity: that of conn_init(). */
void certificate_open(uint32_t capacity);

/* Called in the HTTP handshake. Returns REFUSE_REASONS if profile and names are
 * right; otherwise the reason, with a sentence in *detail that is valid until
 * the next call. */
enum refuse_reason certificate_check(
    const struct conn *c, const char *name, size_t len, const char **detail);
/* True if the certificate names the identity, so that no key is needed. */
bool certificate_proves(const struct conn *c);
/* The identity is claimed: its profile and the end of its certificate are
 * remembered in the registry. */
void certificate_opened(struct conn *c);
/* Members of the connected event and of `show`. HANDSHAKE only. */
void certificate_put(struct writer *w, const struct conn *c);

/* tls.client_name = serial: true if the BootNotification holds the serial
 * number in the certificate, or if there is nothing to compare. */
bool certificate_booted(
    struct conn *c, const struct json *boot, uint32_t payload);
/* Called when the connection has ended or moved away: nothing is awaited from
 * it any more. */
void certificate_forget(struct conn *c);
/* Gives back the memory that no connection needs. Returns the pages. */
size_t certificate_trim(void);
/* Write and read the digest of the name that the BootNotification is compared
 * with, as part of a connection's record (moving.h). False if the record is
 * malformed. */
void certificate_write(const struct conn *c, struct buf *out);
bool certificate_read(struct conn *c, struct fields *f);

/* Called once a second for each connection; implements tls.close_expired.
   Returns CLOSE_REASONS, or the reason why the connection must be closed. */
enum close_reason certificate_tick(const struct conn *c);

#endif
