/* tls_client: contexts for the client's side. See tls.h. */
#include "net/tls_private.h"

#include <openssl/err.h>
#include <stdlib.h>

struct tls_context *
tls_client_load(const char *ca, const char *certificate, const char *key,
    const char *suites, int version, struct buf *why)
{
    struct tls_context *x = calloc(1, sizeof *x);

    if (x == NULL)
        return NULL;
    x->refs = 1;
    x->ssl = tls_context_base(true, suites, version == 3);
    if (x->ssl != NULL && version == 2)
        SSL_CTX_set_max_proto_version(x->ssl, TLS1_2_VERSION);
    if (x->ssl == NULL) {
        buf_addf(why, "TLS: %s", tls_openssl_words());
    } else if (ca != NULL &&
        SSL_CTX_load_verify_locations(x->ssl, ca, NULL) != 1) {
        buf_addf(why, "%s: %s", ca, tls_openssl_words());
    } else if (certificate != NULL &&
        SSL_CTX_use_certificate_chain_file(x->ssl, certificate) != 1) {
        buf_addf(why, "%s: %s", certificate, tls_openssl_words());
    } else if (certificate != NULL &&
        SSL_CTX_use_PrivateKey_file(x->ssl, key, SSL_FILETYPE_PEM) != 1) {
        buf_addf(why, "%s: %s", key, tls_openssl_words());
    } else {
        if (ca != NULL)
            SSL_CTX_set_verify(x->ssl, SSL_VERIFY_PEER, NULL);
        return x;
    }
    tls_context_free(x);
    return NULL;
}
