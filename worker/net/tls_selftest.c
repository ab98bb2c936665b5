/*
 * tls_selftest: tests that this OpenSSL behaves as tls_handshake.c expects.
 *
 * tls_detach() reads an SSL object through public functions, but no manual
 * specifies the sequence numbers at that moment. So each version and suite is
 * tested with an SSL object as the client before the TLS listeners open.
 */
#include "net/tls_private.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#define ROUNDS 3 /* messages each way */

static const struct {
    int               version;
    const char       *suite;
    enum record_suite record;
} tries[] = {
    {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", RECORD_AES128},
    {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", RECORD_AES256},
    {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", RECORD_CHACHA},
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", RECORD_AES128},
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", RECORD_AES256},
    {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", RECORD_CHACHA},
    {TLS1_2_VERSION, "AES128-GCM-SHA256", RECORD_AES128},
};

struct trial {
    struct tls_context *server;
    SSL_CTX            *client;
    SSL_SESSION        *session; /* the session to resume, or NULL */
    SSL                *ssl;
    BIO                *in, *out; /* of the client */
    _Alignas(struct record) uint8_t record[RECORD_SIZE_MAX];
    struct tls_peer who;
    const char     *wrong;
};

static X509 *
make_certificate(EVP_PKEY *key)
{
    X509 *x = X509_new();

    if (x == NULL || X509_set_version(x, 2) != 1 ||
        ASN1_INTEGER_set(X509_get_serialNumber(x), 1) != 1 ||
        X509_gmtime_adj(X509_getm_notBefore(x), -3600) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(x), 3600) == NULL ||
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
            (const unsigned char *)"self-test", -1, -1, 0) != 1 ||
        X509_set_issuer_name(x, X509_get_subject_name(x)) != 1 ||
        X509_set_pubkey(x, key) != 1 || X509_sign(x, key, EVP_sha256()) == 0) {
        X509_free(x);
        return NULL;
    }
    return x;
}

static bool
add_key(SSL_CTX *ctx, EVP_PKEY *key)
{
    X509 *x = key == NULL ? NULL : make_certificate(key);
    bool  good =
        x != NULL && SSL_CTX_use_cert_and_key(ctx, x, key, NULL, 1) == 1;

    X509_free(x);
    EVP_PKEY_free(key);
    return good;
}

/* Reads everything that the client has written. */
static size_t
client_wrote(struct trial *t, uint8_t *p, size_t size)
{
    int n = BIO_read(t->out, p, (int)size);

    return n > 0 ? (size_t)n : 0;
}

static bool
shake_hands(struct trial *t)
{
    struct tls_handshake *h = tls_begin(t->server);
    struct buf            wire = BUF_INIT(65536);
    uint8_t               in[16384];
    size_t                have = 0, used;
    enum tls_step         step = TLS_MORE;

    for (int i = 0; h != NULL && i < 10 && step == TLS_MORE; i++) {
        int r = SSL_do_handshake(t->ssl);
        if (r != 1 && SSL_get_error(t->ssl, r) != SSL_ERROR_WANT_READ)
            break;
        have += client_wrote(t, in + have, sizeof in - have);
        step = tls_step(h, in, have, &used, &wire);
        have -= used;
        memmove(in, in + used, have);
        if (wire.len > 0)
            BIO_write(t->in, wire.p, (int)wire.len);
        buf_clear(&wire);
    }
    buf_free(&wire);
    bool good = step == TLS_DONE && have == 0 && SSL_do_handshake(t->ssl) == 1;
    if (!good) {
        tls_abandon(h);
        t->wrong = "the handshake fails";
        return false;
    }
    if (!tls_detach(h, (struct record *)t->record, &t->who))
        t->wrong = "the keys cannot be extracted";
    return t->wrong == NULL;
}

static bool
talk(struct trial *t)
{
    struct record *r = (struct record *)t->record;
    uint8_t        wire[1024];
    char           text[64];

    for (int i = 0; i < ROUNDS && t->wrong == NULL; i++) {
        size_t n = record_seal(r, RECORD_DATA, "to client", 9, wire);
        if (n == 0 || BIO_write(t->in, wire, (int)n) != (int)n ||
            SSL_read(t->ssl, text, sizeof text) != 9 ||
            memcmp(text, "to client", 9) != 0)
            t->wrong = "a record that was sealed here cannot be opened";
        else if (SSL_write(t->ssl, "to server", 9) != 9)
            t->wrong = "the client cannot write";
        n = client_wrote(t, wire, sizeof wire);
        struct record_input in = record_open(r, wire, n);
        if (t->wrong == NULL &&
            (in.end != RECORD_OPEN || in.used != n || in.len != 9 ||
                memcmp(wire, "to server", 9) != 0))
            t->wrong = "a record of the client cannot be opened";
        if (r->version == RECORD_TLS13 && t->wrong == NULL) {
            n = record_update(r, true, wire);
            BIO_write(t->in, wire, (int)n);
        }
    }
    return t->wrong == NULL;
}

/* One connection; its session is kept in t->session for the next. */
static bool
connect_once(struct trial *t, bool tickets, bool resumes)
{
    t->ssl = SSL_new(t->client);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (t->ssl == NULL || t->in == NULL || t->out == NULL) {
        SSL_free(t->ssl);
        BIO_free(t->in);
        BIO_free(t->out);
        t->wrong = "out of memory";
        return false;
    }
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
    if (t->session != NULL)
        SSL_set_session(t->ssl, t->session);
    bool good = shake_hands(t) && talk(t);
    if (good && t->who.resumed != resumes) {
        t->wrong = resumes ? "a ticket is not accepted"
                           : "a session is resumed without a ticket";
        good = false;
    }
    SSL_SESSION_free(t->session);
    t->session = good && tickets ? SSL_get1_session(t->ssl) : NULL;
    SSL_shutdown(t->ssl);
    SSL_free(t->ssl);
    record_wipe((struct record *)t->record);
    return good;
}

static bool
run_try(struct trial *t, size_t i, bool tickets)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());

    if (client == NULL)
        return false;
    SSL_CTX_set_security_level(client, 0);
    SSL_CTX_set_min_proto_version(client, tries[i].version);
    SSL_CTX_set_max_proto_version(client, tries[i].version);
    if (tries[i].version == TLS1_3_VERSION)
        SSL_CTX_set_ciphersuites(client, tries[i].suite);
    else
        SSL_CTX_set_cipher_list(client, tries[i].suite);
    if (!tickets)
        SSL_CTX_set_options(client, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(t->server->ssl, tickets ? 1 : 0);
    t->client = client;
    bool good = connect_once(t, tickets, false) &&
        (!tickets || connect_once(t, false, true));
    SSL_SESSION_free(t->session);
    t->session = NULL;
    SSL_CTX_free(client);
    return good;
}

bool
tls_selftest(struct buf *why)
{
    static struct ticket_keys keys;
    static struct tls_context server;
    struct trial              t = {.server = &server};
    bool                      good = record_init() && ticket_start(&keys, 0);

    memset(&server, 0, sizeof server);
    server.refs = 1;
    server.ssl = good ? tls_context_base(false, "", false) : NULL;
    if (server.ssl == NULL) {
        buf_addf(why, "OpenSSL lacks what TLS needs: %s", tls_openssl_words());
        return false;
    }
    tls_tickets_at(&keys);
    tls_tickets_hook(server.ssl);
    SSL_CTX_set_security_level(server.ssl, 0);
    SSL_CTX_set_session_id_context(
        server.ssl, (const unsigned char *)"self-test", 9);
    good = add_key(server.ssl, EVP_EC_gen("P-256")) &&
        add_key(server.ssl, EVP_RSA_gen(1024));
    if (!good)
        buf_addf(
            why, "the self-test cannot make keys: %s", tls_openssl_words());
    for (size_t i = 0; good && i < 2 * (sizeof tries / sizeof tries[0]); i++) {
        good = run_try(&t, i / 2, i % 2 == 1);
        if (!good)
            buf_addf(why,
                "this version of OpenSSL (%s) does not behave as expected: "
                "%s, %s tickets: %s (%s)",
                OpenSSL_version(OPENSSL_VERSION), tries[i / 2].suite,
                i % 2 == 1 ? "with" : "without",
                t.wrong != NULL ? t.wrong : "cannot be set up",
                tls_openssl_words());
    }
    ERR_clear_error();
    SSL_CTX_free(server.ssl);
    tls_tickets_at(NULL);
    explicit_bzero(&keys, sizeof keys);
    return good;
}
