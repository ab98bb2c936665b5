/* tls_tickets: session tickets under the keys in shared memory (ticket.h). */
#include "net/tls_private.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

static const struct ticket_keys *keys;

void
tls_tickets_at(const struct ticket_keys *k)
{
    keys = k;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 continue, 2 continue and give a
 * new ticket, 0 no ticket, -1 error. */
static int
ticket_cb(SSL *ssl, unsigned char name[16], unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing)
{
    struct ticket_key key;
    bool              old = false;

    if (keys == NULL)
        return 0;
    if (sealing ? !ticket_current(keys, &key)
                : !ticket_find(keys, name, &key, &old))
        return 0;
    if (sealing) {
        memcpy(name, key.name, 16);
        if (RAND_bytes(iv, 16) != 1)
            return -1;
    }
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_MAC_PARAM_KEY, key.hmac, sizeof key.hmac),
        OSSL_PARAM_construct_utf8_string(
            OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    bool good = EVP_MAC_CTX_set_params(mac, params) == 1 &&
        EVP_CipherInit_ex(
            cipher, EVP_aes_256_cbc(), NULL, key.aes, iv, sealing) == 1;
    OPENSSL_cleanse(&key, sizeof key);
    if (!good)
        return -1;
    /* In TLS 1.3 each resumption gets a new ticket anyway. */
    return old || SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
}

/* The client's certificate is in the ticket, and is not verified again when the
 * session is resumed. So a session does not outlive it: a full handshake
 * follows, in which the certificate is refused. */
static SSL_TICKET_RETURN
opened_cb(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t len,
    SSL_TICKET_STATUS status, void *arg)
{
    (void)ssl, (void)name, (void)len, (void)arg;
    const X509 *x = session == NULL ? NULL : SSL_SESSION_get0_peer(session);
    bool ended = x != NULL && X509_cmp_current_time(X509_get0_notAfter(x)) < 0;

    if (status == SSL_TICKET_SUCCESS && !ended)
        return SSL_TICKET_RETURN_USE;
    if (status == SSL_TICKET_SUCCESS_RENEW && !ended)
        return SSL_TICKET_RETURN_USE_RENEW;
    return SSL_TICKET_RETURN_IGNORE_RENEW;
}

void
tls_tickets_hook(SSL_CTX *ctx)
{
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_cb);
    SSL_CTX_set_session_ticket_cb(ctx, NULL, opened_cb, NULL);
}
