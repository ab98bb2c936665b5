/* tls_private: declarations shared by the files of net/tls*, which alone use
   libssl. */
#ifndef WORKER_NET_TLS_PRIVATE_H
#define WORKER_NET_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "net/tls.h"

#define TLS_FILES 64 /* certificates and lists that are reported */
#define TLS_NAMED 1000

struct tls_context {
    SSL_CTX *ssl; /* context with tls.certificate */
    struct tls_named {
        SSL_CTX *ssl;
        X509    *certificate;
    } * named; /* of tls.sni */
    unsigned n_named;
    unsigned refs; /* references: one by the owner, one by each handshake */
    unsigned n_files;
    struct tls_listed {
        char            file[CONF_TEXT_MAX];
        char            type[16]; /* as in struct shm_tls_file */
        struct tls_name name;
        int64_t         not_after;
    } * files;
};

/* Makes a context with the rules that all share, without certificates. suites:
 * as tls.suites. only13: TLS 1.2 is refused. NULL if OpenSSL does not accept
 * them; the caller frees the context. */
SSL_CTX *tls_context_base(bool client, const char *suites, bool only13);
void     tls_tickets_hook(SSL_CTX *ctx); /* tls_tickets.c */

struct tls_handshake {
    SSL                *ssl;
    struct tls_context *context;
    bool                client, done;
    const uint8_t      *in; /* during tls_step() */
    size_t              in_len, in_at;
    struct buf         *wire;
    /* Follows the records in the bytes that are sent: the header of the current
     * record with the 8 bytes behind it, and the number of its bytes still to
     * come. */
    uint8_t head[RECORD_HEAD + 8];
    size_t  head_len, body_left;
    bool    counting; /* TLS 1.3: the traffic secret is known; TLS 1.2: the
                         ChangeCipherSpec has left */
    bool     msg_counting;
    uint64_t seen_wire;        /* records since then, counted in the bytes */
    uint64_t seen_msg;         /* the same, counted by OpenSSL's message
                                  callback */
    uint64_t nonce;            /* TLS 1.2: explicit nonce of the last of these
                                  records */
    uint8_t secret[2][48];     /* TLS 1.3: the client's and the server's
                                  traffic secret */
    uint8_t       have_secret; /* bit i: secret[i] is known */
    int           alert_received;
    int           verify_error;
    char          subject[TLS_NAME_MAX];
    unsigned long error; /* OpenSSL's first error */
};

/* tls_explain.c */
enum tls_reason tls_explain(
    const struct tls_handshake *h, char *detail, size_t size);

/* tls_pem.c: the content of a PEM file. */
struct tls_pem {
    STACK_OF(X509) * certificates;
    STACK_OF(X509_CRL) * lists;
    EVP_PKEY *keys[8];
    unsigned  n_keys;
};
/* False with "what is wrong; remedy" in why. */
bool tls_pem_read(
    const char *p, size_t n, struct tls_pem *out, struct buf *why);
void tls_pem_free(struct tls_pem *pem);
/* Puts a key, its certificate of the file and the other ones as its chain into
 * ctx. False with "what is wrong; remedy". *leaf is owned by ctx. */
bool tls_pem_use(SSL_CTX *ctx, const struct tls_pem *certificates,
    EVP_PKEY *key, X509 **leaf, struct buf *why, struct buf *notes);
/* "RSA", "ECDSA" or "other"; static. */
const char *tls_pem_type(const EVP_PKEY *key);
/* The text of OpenSSL's last error, which is static; empties the error
   queue. */
const char *tls_openssl_words(void);

#endif
