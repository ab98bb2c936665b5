/* tls_handshake: one handshake, and its keys afterwards. See tls.h. */
#include "net/tls_private.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "ensure.h"
#include "hex.h"

static BIO_METHOD *method; /* one for all handshakes */

/* --- what leaves --------------------------------------------------------- */

/* Counts a record that is sent. Its header, and the explicit nonce of TLS 1.2,
   are in h->head. */
static void
record_leaves(struct tls_handshake *h)
{
    bool tls13 = SSL_version(h->ssl) == TLS1_3_VERSION;

    if (!tls13 && h->head[0] == RECORD_CCS) {
        h->counting = true;
        h->seen_wire = 0;
    } else if (h->counting && (!tls13 || h->head[0] == RECORD_DATA)) {
        h->seen_wire++;
        h->nonce = 0;
        for (int i = 0; i < 8; i++)
            h->nonce = h->nonce << 8 | h->head[RECORD_HEAD + i];
    }
}

static void
follow(struct tls_handshake *h, const uint8_t *p, size_t n)
{
    while (n > 0) {
        size_t have = h->head_len;
        if (have < RECORD_HEAD) {
            h->head[h->head_len++] = *p++;
            n--;
            if (h->head_len == RECORD_HEAD)
                h->body_left =
                    record_wire_size(h->head, RECORD_HEAD) - RECORD_HEAD;
        } else {
            size_t part = n < h->body_left ? n : h->body_left;
            for (size_t i = 0; i < part && h->head_len < sizeof h->head; i++)
                h->head[h->head_len++] = p[i];
            h->body_left -= part;
            p += part;
            n -= part;
        }
        if (h->head_len >= RECORD_HEAD && h->body_left == 0) {
            record_leaves(h);
            memset(h->head, 0, sizeof h->head);
            h->head_len = 0;
        }
    }
}

/* --- BIO ----------------------------------------------------------------- */

static int
bio_read(BIO *b, char *out, int size)
{
    struct tls_handshake *h = BIO_get_data(b);
    size_t                n = h->in_len - h->in_at;

    BIO_clear_retry_flags(b);
    if (n == 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    if (n > (size_t)size)
        n = (size_t)size;
    memcpy(out, h->in + h->in_at, n);
    h->in_at += n;
    return (int)n;
}

static int
bio_write(BIO *b, const char *p, int n)
{
    struct tls_handshake *h = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (h->wire == NULL || !buf_add(h->wire, p, (size_t)n))
        return -1;
    follow(h, (const uint8_t *)p, (size_t)n);
    return n;
}

static long
bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_PUSH || cmd == BIO_CTRL_POP;
}

static bool
make_method(void)
{
    if (method != NULL)
        return true;
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ocppd");
    return method != NULL && BIO_meth_set_read(method, bio_read) == 1 &&
        BIO_meth_set_write(method, bio_write) == 1 &&
        BIO_meth_set_ctrl(method, bio_ctrl) == 1;
}

/* --- what OpenSSL reports ------------------------------------------------ */

/* OpenSSL's key log callback. The line is "LABEL client_random secret", in
 * hexadecimal; it is never written anywhere. OpenSSL formats the line byte by
 * byte, which takes 8 % of the time of a handshake for its five secrets. So the
 * callback is set only while the needed secrets are derived (msg_cb()). */
static void
keylog_cb(const SSL *ssl, const char *line)
{
    struct tls_handshake *h = SSL_get_app_data(ssl);
    int                   which;

    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
        which = 0;
    else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0)
        which = 1;
    else
        return;
    const char *p = strrchr(line, ' ') + 1;
    size_t      n = strlen(p) / 2;
    if (n > sizeof h->secret[0])
        return;
    for (size_t i = 0; i < n; i++) {
        int a = hex_digit(p[2 * i]), b = hex_digit(p[2 * i + 1]);
        if (a < 0 || b < 0)
            return;
        h->secret[which][i] = (uint8_t)(a << 4 | b);
    }
    h->have_secret |= (uint8_t)(1 << which);
    /* The following records are sent under this key. */
    if (which == !h->client) {
        h->counting = h->msg_counting = true;
        h->seen_wire = h->seen_msg = 0;
    }
}

static void
msg_cb(int leaves, int version, int type, const void *p, size_t n, SSL *ssl,
    void *arg)
{
    struct tls_handshake *h = SSL_get_app_data(ssl);
    const uint8_t        *head = p;

    (void)version, (void)arg;
    if (h == NULL)
        return;
    if (!leaves && type == SSL3_RT_ALERT && n == 2)
        h->alert_received = head[1];
    /* The secrets that are derived after a Finished message, until the end of
     * the step, are the traffic secrets. */
    if (type == SSL3_RT_HANDSHAKE && n > 0 && head[0] == SSL3_MT_FINISHED &&
        SSL_version(ssl) == TLS1_3_VERSION)
        SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(ssl), keylog_cb);
    if (!leaves || type != SSL3_RT_HEADER || n < RECORD_HEAD)
        return;
    bool tls13 = SSL_version(ssl) == TLS1_3_VERSION;
    if (!tls13 && head[0] == RECORD_CCS) {
        h->msg_counting = true;
        h->seen_msg = 0;
    } else if (h->msg_counting && (!tls13 || head[0] == RECORD_DATA)) {
        h->seen_msg++;
    }
}

/* Keeps the subject of the certificate whose verification failed. */
static int
verify_cb(int good, X509_STORE_CTX *ctx)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_handshake *h = ssl == NULL ? NULL : SSL_get_app_data(ssl);

    if (!good && h != NULL && h->verify_error == X509_V_OK) {
        struct tls_name name;
        X509           *x = X509_STORE_CTX_get0_cert(ctx);
        h->verify_error = X509_STORE_CTX_get_error(ctx);
        if (x != NULL) {
            tls_name_read(x, &name);
            memcpy(h->subject, name.cn, sizeof h->subject);
        }
    }
    return good;
}

/* --- a handshake --------------------------------------------------------- */

static struct tls_handshake *
begin(struct tls_context *x, bool client)
{
    struct tls_handshake *h = calloc(1, sizeof *h);
    BIO                  *b = NULL;

    if (h == NULL)
        return NULL;
    h->client = client;
    h->alert_received = -1;
    h->ssl = SSL_new(x->ssl);
    if (h->ssl == NULL || !make_method() || (b = BIO_new(method)) == NULL) {
        SSL_free(h->ssl);
        free(h);
        ERR_clear_error();
        return NULL;
    }
    h->context = x;
    x->refs++;
    BIO_set_data(b, h);
    BIO_set_init(b, 1);
    SSL_set_bio(h->ssl, b, b);
    SSL_set_app_data(h->ssl, h);
    SSL_set_msg_callback(h->ssl, msg_cb);
    SSL_set_verify(h->ssl, SSL_get_verify_mode(h->ssl), verify_cb);
    if (client)
        SSL_set_connect_state(h->ssl);
    else
        SSL_set_accept_state(h->ssl);
    return h;
}

struct tls_handshake *
tls_begin(struct tls_context *x)
{
    return begin(x, false);
}

struct tls_handshake *
tls_client_begin(struct tls_context *x, const char *host)
{
    struct tls_handshake *h = begin(x, true);

    if (h != NULL && host != NULL) {
        SSL_set_tlsext_host_name(h->ssl, host);
        SSL_set1_host(h->ssl, host);
    }
    return h;
}

enum tls_step
tls_step(struct tls_handshake *h, const uint8_t *in, size_t n, size_t *used,
    struct buf *wire)
{
    h->in = in;
    h->in_len = n;
    h->in_at = 0;
    h->wire = wire;
    ERR_clear_error();
    int r = SSL_do_handshake(h->ssl);
    SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(h->ssl), NULL);
    int e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(h->ssl, r);
    *used = h->in_at;
    h->in = NULL;
    h->wire = NULL;
    if (r == 1) {
        h->done = true;
        return TLS_DONE;
    }
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
        ERR_clear_error();
        return TLS_MORE;
    }
    h->error = ERR_peek_error();
    ERR_clear_error();
    return TLS_FAILED;
}

void
tls_abandon(struct tls_handshake *h)
{
    if (h == NULL)
        return;
    /* Freeing the object must not send a close_notify. */
    SSL_set_quiet_shutdown(h->ssl, 1);
    SSL_free(h->ssl);
    tls_context_free(h->context);
    OPENSSL_cleanse(h, sizeof *h);
    free(h);
}

int
tls_alert_received(const struct tls_handshake *h)
{
    return h->alert_received;
}

enum tls_reason
tls_why(const struct tls_handshake *h, char *detail, size_t size)
{
    return tls_explain(h, detail, size);
}

enum tls_reason
tls_first_bytes(const uint8_t *p, size_t n)
{
    static const char *const methods[] = {
        "GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "DELETE ", "CONNECT "};

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        size_t m = strlen(methods[i]);
        if (n >= m && memcmp(p, methods[i], m) == 0)
            return TLS_REASON_http;
        if (n < m && memcmp(p, methods[i], n) == 0)
            return TLS_REASON_none;
    }
    if ((n > 0 && p[0] != RECORD_HANDSHAKE) || (n > 1 && p[1] != 3))
        return TLS_REASON_not_tls;
    return TLS_REASON_none;
}

/* --- the keys ------------------------------------------------------------ */

static bool
take_keys(const struct tls_handshake *h, struct record *r, enum tls_suite s)
{
    static const uint8_t suites[] = {
#define SUITE(name, openssl, record, version) RECORD_##record,
#include "tls_suites.def"
    };
    enum record_suite rs = suites[s];

    if (SSL_version(h->ssl) == TLS1_3_VERSION) {
        if (h->have_secret != 3 ||
            !record_begin13(r, rs, h->secret[h->client], h->secret[!h->client]))
            return false;
        r->write_seq = h->seen_wire;
        return true;
    }
    uint8_t master[48], client[32], server[32];
    bool    good = SSL_SESSION_get_master_key(SSL_get_session(h->ssl), master,
                       sizeof master) == sizeof master &&
        SSL_get_client_random(h->ssl, client, 32) == 32 &&
        SSL_get_server_random(h->ssl, server, 32) == 32 &&
        record_begin12(r, rs, h->client, master, client, server);
    OPENSSL_cleanse(master, sizeof master);
    /* The Finished messages were record 0 of both directions. */
    r->read_seq = 1;
    r->write_seq = h->seen_wire;
    if (record_explicit_nonce(r))
        record_set_nonce(r, 0, h->nonce);
    return good && h->seen_wire == 1;
}

static void
describe(const struct tls_handshake *h, struct tls_peer *who)
{
    X509 *x = SSL_get0_peer_certificate(h->ssl);

    who->resumed = SSL_session_reused(h->ssl) == 1;
    if (x != NULL && SSL_get_verify_result(h->ssl) == X509_V_OK) {
        who->certificate = true;
        tls_name_read(x, &who->name);
    }
}

bool
tls_detach(struct tls_handshake *h, struct record *record, struct tls_peer *who)
{
    memset(who, 0, sizeof *who);
    int version = SSL_version(h->ssl);
    who->version = version == TLS1_3_VERSION ? RECORD_TLS13 : RECORD_TLS12;
    who->suite = (uint8_t)tls_suite_find(SSL_get_cipher_name(h->ssl));
    bool good = h->done && SSL_has_pending(h->ssl) == 0 && h->head_len == 0 &&
        (version == TLS1_3_VERSION || version == TLS1_2_VERSION) &&
        who->suite < TLS_SUITES;
    if (good) {
        /* The two counts must agree: a wrong one would use a nonce twice, which
         * reveals the connection's secrets. */
        ensure(h->seen_wire == h->seen_msg);
        good = take_keys(h, record, who->suite);
        record->name = who->suite;
        describe(h, who);
        const SSL_SESSION *session = SSL_get0_session(h->ssl);
        unsigned           code =
            session == NULL ? 0 : SSL_SESSION_get_max_fragment_length(session);
        if (code >= TLSEXT_max_fragment_length_512 &&
            code <= TLSEXT_max_fragment_length_4096)
            record->max_text = (uint16_t)(256 << code);
        if (h->client)
            record->flags |= RECORD_CLIENT;
    }
    tls_abandon(h);
    return good;
}
