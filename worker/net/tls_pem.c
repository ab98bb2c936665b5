/* tls_pem: certificates, keys and lists out of PEM files. */
#include "net/tls_private.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "clock.h"

#define CHAIN_ADVISED 4096 /* bytes; some charge points have small buffers */

const char *
tls_openssl_words(void)
{
    unsigned long e = ERR_peek_last_error();
    const char   *words = ERR_reason_error_string(e);

    ERR_clear_error();
    return words != NULL ? words : "unknown error";
}

/* A key with a passphrase is refused, because a daemon has no terminal to ask
   for it. */
static int
no_passphrase(char *buf, int size, int writing, void *asked)
{
    (void)buf, (void)size, (void)writing;
    *(bool *)asked = true;
    return -1;
}

static bool
take(struct tls_pem *out, const char *name, const unsigned char *der, long len,
    struct buf *why)
{
    const unsigned char *p = der;

    if (strcmp(name, PEM_STRING_X509) == 0 ||
        strcmp(name, PEM_STRING_X509_OLD) == 0) {
        X509 *x = d2i_X509(NULL, &p, len);
        if (x == NULL || sk_X509_push(out->certificates, x) == 0) {
            X509_free(x);
            buf_adds(why, "a certificate in it is damaged; export it anew");
            return false;
        }
    } else if (strcmp(name, PEM_STRING_X509_CRL) == 0) {
        X509_CRL *x = d2i_X509_CRL(NULL, &p, len);
        if (x == NULL || sk_X509_CRL_push(out->lists, x) == 0) {
            X509_CRL_free(x);
            buf_adds(why, "a revocation list in it is damaged; fetch it anew");
            return false;
        }
    }
    return true;
}

static bool
read_keys(const char *text, size_t n, struct tls_pem *out, struct buf *why)
{
    BIO *b = BIO_new_mem_buf(text, (int)n);
    bool asked = false;

    while (b != NULL && out->n_keys < sizeof out->keys / sizeof out->keys[0]) {
        EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, no_passphrase, &asked);
        if (key == NULL)
            break;
        out->keys[out->n_keys++] = key;
    }
    BIO_free(b);
    ERR_clear_error();
    if (asked)
        buf_adds(
            why, "its key has a passphrase; remove it with `openssl pkey`");
    return !asked;
}

bool
tls_pem_read(const char *text, size_t n, struct tls_pem *out, struct buf *why)
{
    char          *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long           len;
    bool           good = n < INT32_MAX;

    memset(out, 0, sizeof *out);
    out->certificates = sk_X509_new_null();
    out->lists = sk_X509_CRL_new_null();
    BIO *b = good ? BIO_new_mem_buf(text, (int)n) : NULL;
    good = b != NULL && out->certificates != NULL && out->lists != NULL;
    while (good && PEM_read_bio(b, &name, &header, &der, &len) == 1) {
        good = take(out, name, der, len, why);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)len);
    }
    BIO_free(b);
    if (good && ERR_peek_last_error() != 0 &&
        ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        buf_addf(why, "a part of it is not PEM (%s); export it anew",
            tls_openssl_words());
        good = false;
    }
    ERR_clear_error();
    return good && read_keys(text, n, out, why);
}

void
tls_pem_free(struct tls_pem *pem)
{
    sk_X509_pop_free(pem->certificates, X509_free);
    sk_X509_CRL_pop_free(pem->lists, X509_CRL_free);
    for (unsigned i = 0; i < pem->n_keys; i++)
        EVP_PKEY_free(pem->keys[i]);
    memset(pem, 0, sizeof *pem);
}

const char *
tls_pem_type(const EVP_PKEY *key)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        return "RSA";
    case EVP_PKEY_EC:
        return "ECDSA";
    default:
        return "other";
    }
}

/* Adds a note if the dates of the certificate do not permit its use now. what:
   the beginning of the sentence. */
static void
check_dates(const X509 *x, const char *what, struct buf *notes)
{
    char text[CLOCK_RFC3339_LEN + 1];

    if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0) {
        int64_t end = tls_name_time(X509_get0_notAfter(x));
        clock_rfc3339(text, end > 0 ? (uint64_t)end * 1000 : 0);
        buf_addf(notes, "%s expired at %s; renew it\n", what, text);
    } else if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
        buf_addf(notes, "%s is not valid yet; is the clock right?\n", what);
}

/* Adds a note if the certificate names no host that a charge point could
   compare with its URL (RFC 6125 6.4). */
static void
check_names(X509 *leaf, struct buf *notes)
{
    struct tls_name name;

    tls_name_read(leaf, &name);
    if (name.cn[0] == '\0' && name.san_len == 0)
        buf_adds(notes,
            "it names no host, so charge points that compare names refuse it; "
            "write the host name of their URL into its CN and into a "
            "subjectAltName (DNS)\n");
}

/* The root is omitted, so that the chain that is sent is as short as
 * possible. */
static STACK_OF(X509) *
    chain_of(const struct tls_pem *pem, const X509 *leaf, struct buf *notes)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    const X509 *below = leaf;
    int         size = i2d_X509(leaf, NULL);

    for (int i = 0; chain != NULL && i < sk_X509_num(pem->certificates); i++) {
        X509 *x = sk_X509_value(pem->certificates, i);
        if (X509_cmp(x, leaf) == 0)
            continue;
        if (X509_check_issued(x, x) == X509_V_OK) {
            buf_adds(notes, "its root certificate is not sent; leave it out\n");
            continue;
        }
        if (X509_check_issued(x, (X509 *)below) != X509_V_OK)
            buf_adds(notes,
                "a certificate in it has not signed the one before it; put "
                "each after the one that it has signed\n");
        check_dates(x, "an intermediate certificate in it", notes);
        sk_X509_push(chain, x);
        below = x;
        size += i2d_X509(x, NULL);
    }
    if (size > CHAIN_ADVISED)
        buf_addf(notes,
            "the chain has %d bytes; some charge points take at most %d\n",
            size, CHAIN_ADVISED);
    return chain;
}

bool
tls_pem_use(SSL_CTX *ctx, const struct tls_pem *pem, EVP_PKEY *key, X509 **leaf,
    struct buf *why, struct buf *notes)
{
    *leaf = NULL;
    for (int i = 0; *leaf == NULL && i < sk_X509_num(pem->certificates); i++) {
        X509 *x = sk_X509_value(pem->certificates, i);
        if (X509_check_private_key(x, key) == 1)
            *leaf = x;
    }
    ERR_clear_error();
    if (sk_X509_num(pem->certificates) == 0) {
        buf_adds(why,
            "there is no certificate in it; name a PEM file that "
            "begins with the server's certificate");
        return false;
    }
    if (*leaf == NULL) {
        buf_adds(why,
            "the private key belongs to none of the certificates in "
            "it; give each certificate its own key");
        return false;
    }
    STACK_OF(X509) *chain = chain_of(pem, *leaf, notes);
    bool good = SSL_CTX_use_cert_and_key(ctx, *leaf, key, chain, 1) == 1;
    sk_X509_free(chain);
    if (!good) {
        bool weak =
            ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_EE_KEY_TOO_SMALL ||
            ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_CA_MD_TOO_WEAK ||
            ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_CA_KEY_TOO_SMALL;
        buf_addf(why, "it cannot be used: %s; %s", tls_openssl_words(),
            weak ? "use RSA of at least 2048 bits or ECDSA, signed with "
                   "SHA-256, or lower tls.security_level"
                 : "use an RSA or ECDSA certificate");
        return false;
    }
    check_dates(*leaf, "it", notes);
    check_names(*leaf, notes);
    return true;
}
