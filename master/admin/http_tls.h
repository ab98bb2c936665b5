/*
 * http_tls: the certificates of admin.listen_tls.
 *
 * The files are those for charge points: the first one of tls.sni whose
 * certificate has the name that the client asks for, otherwise the first pair
 * of tls.certificate and tls.key. A change applies to later handshakes; open
 * connections are not affected. Any thread may call these functions after
 * http_tls_begin().
 */
#ifndef MASTER_ADMIN_HTTP_TLS_H
#define MASTER_ADMIN_HTTP_TLS_H

#include <gnutls/abstract.h>

/* Once, in the admin process, before the server starts. */
void http_tls_begin(void);

/* Loads the certificates of a bundle (tls_bundle.h). A file that cannot be used
 * is logged. If there is no pair of tls.certificate, the former certificates
 * stay. */
void http_tls_load(int bundle);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK, in the connection's own thread. The chain
 * and the key stay valid during the handshake. -1: there is no certificate. */
int http_tls_choose(gnutls_session_t session, const gnutls_datum_t *authorities,
    int authorities_n, const gnutls_pk_algorithm_t *algorithms,
    int algorithms_n, gnutls_pcert_st **chain, unsigned *chain_n,
    gnutls_privkey_t *key);

#endif
