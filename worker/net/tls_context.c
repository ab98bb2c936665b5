/* tls_context: certificates, authorities and rules. See tls.h. */
#include "net/tls_private.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls_bundle.h"

#define GROUPS "X25519:P-256:P-384"
#define DEPTH 4 /* certificates of a client's chain */
/* Bytes of them, at most. OpenSSL's limit of 100 KiB permits certificates that
   do not fit into a ticket. */
#define CHAIN_BYTES (32 * 1024)

/* --- the rules that all contexts share ----------------------------------- */

static bool
set_suites(SSL_CTX *ctx, const char *list, bool only13)
{
    char tls12[1024] = "", tls13[256] = "", item[CONF_LIST_MAX];

    for (int s = 0; s < TLS_SUITES; s++) {
        bool wanted = list[0] == '\0';
        for (const char *at = list;
             !wanted && config_list_next(&at, item, sizeof item);)
            wanted = tls_suite_find(item) == (enum tls_suite)s;
        char *to = tls_suite_version((enum tls_suite)s) == 3 ? tls13 : tls12;
        if (!wanted)
            continue;
        size_t n = strlen(to), size = to == tls13 ? sizeof tls13 : sizeof tls12;
        snprintf(to + n, size - n, "%s%s", n > 0 ? ":" : "",
            tls_suite_openssl((enum tls_suite)s));
    }
    if (tls13[0] == '\0')
        SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    if (tls12[0] == '\0' && !only13)
        SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    return (tls13[0] == '\0' || SSL_CTX_set_ciphersuites(ctx, tls13) == 1) &&
        (tls12[0] == '\0' || SSL_CTX_set_cipher_list(ctx, tls12) == 1);
}

SSL_CTX *
tls_context_base(bool client, const char *suites, bool only13)
{
    SSL_CTX *ctx =
        SSL_CTX_new(client ? TLS_client_method() : TLS_server_method());

    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_options(ctx,
        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
            SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_ANTI_REPLAY |
            SSL_OP_NO_QUERY_MTU);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ctx, 0);
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_min_proto_version(
        ctx, only13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    if (SSL_CTX_set1_groups_list(ctx, GROUPS) != 1 ||
        !set_suites(ctx, suites, only13)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* --- loading ------------------------------------------------------------- */

struct loading {
    const struct config   *c;
    struct tls_context    *x;
    struct buf            *errors, *notes;
    const struct tls_item *certificate[32], *key[32];
    unsigned               n_certificates, n_keys;
    EVP_MD_CTX *policy; /* hash over the settings and files that decide about
                           client certificates */
};

static void
complain(struct buf *out, const char *knob, const char *file, const char *words)
{
    /* words: lines */
    while (*words != '\0') {
        size_t n = strcspn(words, "\n");
        buf_addf(out, "%s = %s: %.*s\n", knob, file, (int)n, words);
        words += n + (words[n] == '\n');
    }
}

static void
list_file(struct tls_context *x, const char *file, const X509 *cert,
    const char *type, int64_t not_after)
{
    struct tls_listed *f = x->files;

    if (x->n_files < TLS_FILES) {
        f = realloc(x->files, (x->n_files + 1) * sizeof *f);
        if (f == NULL)
            return;
        x->files = f;
        f += x->n_files++;
    } else {
        /* A full list keeps those that end first. */
        for (unsigned i = 1; i < TLS_FILES; i++)
            if (x->files[i].not_after > f->not_after)
                f = &x->files[i];
        if (not_after >= f->not_after)
            return;
    }
    memset(f, 0, sizeof *f);
    snprintf(f->file, sizeof f->file, "%s", file);
    snprintf(f->type, sizeof f->type, "%s", type);
    if (cert != NULL)
        tls_name_read(cert, &f->name);
    f->not_after = not_after;
}

/* Lists the certificate that ctx has just taken, and the chain that is sent
   with it. */
static void
list_chain(struct loading *l, SSL_CTX *ctx, const char *file, X509 *leaf,
    EVP_PKEY *key)
{
    STACK_OF(X509) *chain = NULL;

    list_file(l->x, file, leaf, tls_pem_type(key),
        tls_name_time(X509_get0_notAfter(leaf)));
    SSL_CTX_get0_chain_certs(ctx, &chain);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *x = sk_X509_value(chain, i);
        list_file(l->x, file, x, "chain", tls_name_time(X509_get0_notAfter(x)));
    }
}

/* One certificate file with one key, into ctx. */
static bool
use(struct loading *l, SSL_CTX *ctx, const char *knob, const char *file,
    const struct tls_pem *pem, EVP_PKEY *key, X509 **leaf)
{
    struct buf why = BUF_INIT(1024), notes = BUF_INIT(4096);
    bool       good = tls_pem_use(ctx, pem, key, leaf, &why, &notes);

    if (good)
        list_chain(l, ctx, file, *leaf, key);
    complain(l->errors, knob, file, buf_cstr(&why));
    complain(l->notes, knob, file, buf_cstr(&notes));
    buf_free(&why);
    buf_free(&notes);
    return good;
}

static bool
read_pem(struct loading *l, const char *knob, const struct tls_item *item,
    struct tls_pem *pem)
{
    struct buf why = BUF_INIT(1024);
    bool       good = tls_pem_read(item->data, item->len, pem, &why);

    if (!good)
        complain(l->errors, knob, item->name,
            why.len > 0 ? buf_cstr(&why) : "out of memory");
    buf_free(&why);
    return good;
}

static void
load_pair(struct loading *l, unsigned i)
{
    struct tls_pem pem, keys;
    X509          *leaf;

    memset(&keys, 0, sizeof keys);
    if (read_pem(l, "tls.certificate", l->certificate[i], &pem) &&
        read_pem(l, "tls.key", l->key[i], &keys)) {
        if (keys.n_keys == 0)
            complain(l->errors, "tls.key", l->key[i]->name,
                "there is no private key in it; name a PEM file with one");
        else
            use(l, l->x->ssl, "tls.certificate", l->certificate[i]->name, &pem,
                keys.keys[0], &leaf);
    }
    tls_pem_free(&pem);
    tls_pem_free(&keys);
}

/* Owns ctx from here on. */
static bool
add_named(struct tls_context *x, SSL_CTX *ctx, X509 *certificate)
{
    struct tls_named *n = x->n_named == TLS_NAMED
        ? NULL
        : realloc(x->named, (x->n_named + 1) * sizeof *n);

    if (n == NULL)
        return false;
    x->named = n;
    X509_up_ref(certificate);
    n[x->n_named++] = (struct tls_named){ctx, certificate};
    return true;
}

static void
load_sni(struct loading *l, const struct tls_item *item)
{
    struct tls_pem pem;
    X509          *leaf = NULL;
    bool           good = read_pem(l, "tls.sni", item, &pem);
    SSL_CTX       *ctx = tls_context_base(false, l->c->tls_suites, false);

    if (good && pem.n_keys == 0)
        complain(l->errors, "tls.sni", item->name,
            "there is no private key in it; a file in this directory holds "
            "key, certificate and intermediates");
    if (ctx != NULL)
        SSL_CTX_set_security_level(ctx, (int)l->c->tls_security_level);
    for (unsigned i = 0; good && ctx != NULL && i < pem.n_keys; i++)
        good = use(l, ctx, "tls.sni", item->name, &pem, pem.keys[i], &leaf);
    if (good && leaf != NULL && !add_named(l->x, ctx, leaf)) {
        complain(l->errors, "tls.sni", item->name,
            "the directory has too many files; it may hold 1000");
        good = false;
    }
    if (!good || leaf == NULL)
        SSL_CTX_free(ctx);
    tls_pem_free(&pem);
}

static void
load_authorities(struct loading *l, const struct tls_item *item)
{
    X509_STORE    *store = SSL_CTX_get_cert_store(l->x->ssl);
    struct tls_pem pem;

    if (read_pem(l, "tls.client_ca", item, &pem)) {
        if (sk_X509_num(pem.certificates) == 0)
            complain(l->errors, "tls.client_ca", item->name,
                "there is no certificate in it; name a PEM file of the "
                "authorities that sign client certificates");
        for (int i = 0; i < sk_X509_num(pem.certificates); i++) {
            X509 *ca = sk_X509_value(pem.certificates, i);
            if (X509_check_ca(ca) == 0)
                complain(l->notes, "tls.client_ca", item->name,
                    "a certificate in it is not of an authority; remove it, or "
                    "name another file");
            X509_STORE_add_cert(store, ca);
            SSL_CTX_add_client_CA(l->x->ssl, ca);
            list_file(l->x, item->name, ca, "authority",
                tls_name_time(X509_get0_notAfter(ca)));
        }
        EVP_DigestUpdate(l->policy, item->data, item->len);
    }
    tls_pem_free(&pem);
}

static void
load_lists(struct loading *l, const struct tls_item *item)
{
    X509_STORE    *store = SSL_CTX_get_cert_store(l->x->ssl);
    struct tls_pem pem;

    if (read_pem(l, "tls.crl", item, &pem)) {
        if (sk_X509_CRL_num(pem.lists) == 0)
            complain(l->errors, "tls.crl", item->name,
                "there is no revocation list in it; name a PEM file of lists");
        for (int i = 0; i < sk_X509_CRL_num(pem.lists); i++) {
            X509_CRL *crl = sk_X509_CRL_value(pem.lists, i);
            X509_STORE_add_crl(store, crl);
            list_file(l->x, item->name, NULL, "CRL",
                tls_name_time(X509_CRL_get0_nextUpdate(crl)));
        }
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
        EVP_DigestUpdate(l->policy, item->data, item->len);
    }
    tls_pem_free(&pem);
}

/* --- names --------------------------------------------------------------- */

/* Chooses the certificate by SNI (RFC 6066 3). An unknown name gets the main
 * certificate, because many charge points send no name or a wrong one. */
static int
choose(SSL *ssl, int *alert, void *arg)
{
    const struct tls_context *x = arg;
    const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    for (unsigned i = 0; host != NULL && i < x->n_named; i++)
        if (X509_check_host(x->named[i].certificate, host, 0, 0, NULL) == 1) {
            SSL_set_SSL_CTX(ssl, x->named[i].ssl);
            return SSL_TLSEXT_ERR_OK;
        }
    return host != NULL && x->n_named > 0 ? SSL_TLSEXT_ERR_NOACK
                                          : SSL_TLSEXT_ERR_OK;
}

/* A ticket is valid only under the rules that were in force when it was
   issued. */
static bool
set_policy(struct loading *l)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned      n = 0;
    const int     client = (int)l->c->tls_client;

    bool good = EVP_DigestUpdate(l->policy, &client, sizeof client) == 1 &&
        EVP_DigestFinal_ex(l->policy, hash, &n) == 1;
    if (n > SSL_MAX_SID_CTX_LENGTH)
        n = SSL_MAX_SID_CTX_LENGTH;
    for (unsigned i = 0; good && i < l->x->n_named; i++)
        good = SSL_CTX_set_session_id_context(l->x->named[i].ssl, hash, n) == 1;
    return good && SSL_CTX_set_session_id_context(l->x->ssl, hash, n) == 1;
}

/* The certificates of tls.sni have contexts of their own, from which OpenSSL
 * takes the authorities and lists for a handshake with that name. */
static void
share_authorities(const struct tls_context *x)
{
    for (unsigned i = 0; i < x->n_named; i++) {
        SSL_CTX_set1_cert_store(
            x->named[i].ssl, SSL_CTX_get_cert_store(x->ssl));
        SSL_CTX_set_client_CA_list(x->named[i].ssl,
            SSL_dup_CA_list(SSL_CTX_get_client_CA_list(x->ssl)));
    }
}

static void
set_client(struct loading *l)
{
    X509_STORE *store = SSL_CTX_get_cert_store(l->x->ssl);

    if (l->c->tls_client == CONF_tls_client_no)
        return;
    /* An intermediate certificate in the file is trusted without its root, so
     * that charge points may send their own certificate alone. */
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify_depth(l->x->ssl, DEPTH);
    SSL_CTX_set_max_cert_list(l->x->ssl, CHAIN_BYTES);
    SSL_CTX_set_verify(l->x->ssl,
        SSL_VERIFY_PEER |
            (l->c->tls_client == CONF_tls_client_required
                    ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                    : 0),
        NULL);
    share_authorities(l->x);
}

static void
load(struct loading *l, const struct buf *all)
{
    struct tls_item items[128];
    unsigned        n = 0;

    for (size_t at = 0; n < 128 && tls_bundle_next(all, &at, &items[n]); n++) {
        if (items[n].kind == TLS_FILE_CERTIFICATE && l->n_certificates < 32)
            l->certificate[l->n_certificates++] = &items[n];
        else if (items[n].kind == TLS_FILE_KEY && l->n_keys < 32)
            l->key[l->n_keys++] = &items[n];
    }
    for (unsigned i = 0; i < l->n_certificates && i < l->n_keys; i++)
        load_pair(l, i);
    l->n_certificates = l->n_keys = 0;
    memset(l->certificate, 0, sizeof l->certificate);
    memset(l->key, 0, sizeof l->key);
    struct tls_item item;
    for (size_t at = 0; tls_bundle_next(all, &at, &item);)
        if (item.kind == TLS_FILE_SNI)
            load_sni(l, &item);
        else if (item.kind == TLS_FILE_CLIENT_CA)
            load_authorities(l, &item);
        else if (item.kind == TLS_FILE_CRL)
            load_lists(l, &item);
}

struct tls_context *
tls_context_load(
    const struct config *c, int bundle, struct buf *errors, struct buf *notes)
{
    struct loading l = {.c = c, .errors = errors, .notes = notes};
    struct buf     all = BUF_INIT(0);
    size_t         had = errors->len;

    l.x = calloc(1, sizeof *l.x);
    if (l.x != NULL)
        l.x->refs = 1;
    l.policy = EVP_MD_CTX_new();
    if (l.x != NULL)
        l.x->ssl = tls_context_base(
            false, c->tls_suites, strcmp(c->tls_min_version, "1.3") == 0);
    if (l.x == NULL || l.policy == NULL || l.x->ssl == NULL ||
        EVP_DigestInit_ex(l.policy, EVP_sha256(), NULL) != 1 ||
        !tls_bundle_read(bundle, &all)) {
        buf_addf(errors, "tls: cannot be set up: %s\n", tls_openssl_words());
    } else {
        SSL_CTX_set_security_level(l.x->ssl, (int)c->tls_security_level);
        load(&l, &all);
        set_client(&l);
        SSL_CTX_set_tlsext_servername_callback(l.x->ssl, choose);
        SSL_CTX_set_tlsext_servername_arg(l.x->ssl, l.x);
        SSL_CTX_set_num_tickets(l.x->ssl, c->tls_tickets ? 1 : 0);
        if (c->tls_tickets)
            tls_tickets_hook(l.x->ssl);
        else
            SSL_CTX_set_options(l.x->ssl, SSL_OP_NO_TICKET);
        if (!set_policy(&l))
            buf_adds(errors, "tls: cannot be set up\n");
    }
    tls_bundle_wipe(&all);
    EVP_MD_CTX_free(l.policy);
    ERR_clear_error();
    if (errors->len == had)
        return l.x;
    tls_context_free(l.x);
    return NULL;
}

void
tls_context_free(struct tls_context *x)
{
    if (x == NULL || --x->refs > 0)
        return;
    for (unsigned i = 0; i < x->n_named; i++) {
        SSL_CTX_free(x->named[i].ssl);
        X509_free(x->named[i].certificate);
    }
    SSL_CTX_free(x->ssl);
    free(x->named);
    free(x->files);
    free(x);
}

void
tls_context_each(
    const struct tls_context *x, tls_context_report *report, void *arg)
{
    for (unsigned i = 0; i < x->n_files; i++)
        report(arg, x->files[i].file, &x->files[i].name, x->files[i].type,
            x->files[i].not_after);
}
