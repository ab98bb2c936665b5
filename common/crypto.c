/* crypto: sets up libcrypto for all processes. See crypto.h. */
#include "crypto.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stddef.h>

/* The ciphers that libssl looks up for each context, and net/record for its
 * keys. */
static const char *const ciphers[] = {"AES-128-GCM", "AES-256-GCM",
    "ChaCha20-Poly1305", "AES-128-CBC", "AES-256-CBC", "AES-128-CCM",
    "AES-256-CCM", "DES-EDE3-CBC", "ARIA-128-GCM", "ARIA-256-GCM",
    "CAMELLIA-128-CBC", "CAMELLIA-256-CBC", "NULL"};
static const char *const digests[] = {
    "SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "MD5", "MD5-SHA1"};
static const char *const kdfs[] = {"HKDF", "TLS13-KDF", "TLS1-PRF"};
static const char *const keys[] = {"RSA", "RSA-PSS", "EC", "X25519"};

/* Each lookup stores the algorithm in a table of libcrypto, which keeps it
 * when the reference is released. */
static void
look_up(void)
{
    for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++)
        EVP_CIPHER_free(EVP_CIPHER_fetch(NULL, ciphers[i], NULL));
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++)
        EVP_MD_free(EVP_MD_fetch(NULL, digests[i], NULL));
    for (size_t i = 0; i < sizeof kdfs / sizeof kdfs[0]; i++)
        EVP_KDF_free(EVP_KDF_fetch(NULL, kdfs[i], NULL));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, keys[i], NULL);
        if (ctx != NULL)
            EVP_PKEY_keygen_init(ctx);
        EVP_PKEY_CTX_free(ctx);
    }
    EVP_MAC_free(EVP_MAC_fetch(NULL, "HMAC", NULL));
    EVP_SIGNATURE_free(EVP_SIGNATURE_fetch(NULL, "RSA", NULL));
}

/* Loads the decoders: a certificate and its key are written and read once. */
static void
read_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *read_key = NULL;
    X509     *x = X509_new(), *read = NULL;
    BIO      *memory = BIO_new(BIO_s_mem());

    if (key != NULL && x != NULL && memory != NULL &&
        X509_set_pubkey(x, key) == 1 && X509_sign(x, key, EVP_sha256()) > 0 &&
        PEM_write_bio_X509(memory, x) == 1 &&
        PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL) == 1) {
        read = PEM_read_bio_X509(memory, NULL, NULL, NULL);
        read_key = PEM_read_bio_PrivateKey(memory, NULL, NULL, NULL);
        if (read != NULL && read_key != NULL)
            X509_verify(read, read_key);
    }
    BIO_free(memory);
    X509_free(x);
    X509_free(read);
    EVP_PKEY_free(key);
    EVP_PKEY_free(read_key);
}

static void
agree_on_key(void)
{
    EVP_PKEY     *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    EVP_PKEY_CTX *ctx = key == NULL ? NULL : EVP_PKEY_CTX_new(key, NULL);

    if (ctx != NULL && EVP_PKEY_derive_init(ctx) == 1)
        EVP_PKEY_derive_set_peer(ctx, key);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
}

void
crypto_prepare(bool tls)
{
    EVP_MD_free(EVP_MD_fetch(NULL, "SHA1", NULL)); /* of RFC 6455 */
    if (tls) {
        look_up();
        agree_on_key();
        read_certificate();
    }
    ERR_clear_error();
}
