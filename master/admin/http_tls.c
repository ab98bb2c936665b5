/* http_tls: the certificates of admin.listen_tls. See http_tls.h. */
#include "admin/http_tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "tls_bundle.h"

#define CHAIN_MAX 16
#define SERVER_NAME_MAX 256

struct pair {
    gnutls_pcert_st   chain[CHAIN_MAX];
    unsigned          n;
    gnutls_privkey_t  key;
    gnutls_x509_crt_t leaf;
};

/* The certificates of one bundle. pairs[0] is that of tls.certificate, the
 * others are those of tls.sni. */
struct set {
    unsigned     refs, n;
    struct pair *pairs;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t   held; /* the set that this connection's thread uses */
static struct set     *current;

static void
pair_free(struct pair *p)
{
    for (unsigned i = 0; i < p->n; i++)
        gnutls_pcert_deinit(&p->chain[i]);
    if (p->key != NULL)
        gnutls_privkey_deinit(p->key);
    if (p->leaf != NULL)
        gnutls_x509_crt_deinit(p->leaf);
}

static void
give_back(void *arg)
{
    struct set *s = arg;

    if (s == NULL)
        return;
    pthread_mutex_lock(&lock);
    bool last = --s->refs == 0;
    pthread_mutex_unlock(&lock);
    if (!last)
        return;
    for (unsigned i = 0; i < s->n; i++)
        pair_free(&s->pairs[i]);
    free(s->pairs);
    free(s);
}

/* The set that the connection of this thread uses: MHD has one thread for each
 * connection. */
static struct set *
hold_current(void)
{
    pthread_mutex_lock(&lock);
    struct set *s = current;
    if (s != NULL)
        s->refs++;
    pthread_mutex_unlock(&lock);
    give_back(pthread_getspecific(held));
    pthread_setspecific(held, s);
    return s;
}

void
http_tls_begin(void)
{
    if (pthread_key_create(&held, give_back) != 0)
        log_error("admin.listen_tls: cannot make a key for data of threads");
}

/* --- loading ----------------------------------------------------------------- */

static bool
pair_load(struct pair *p, const struct tls_item *certificate,
    const struct tls_item *key)
{
    const gnutls_datum_t chain = {
        (unsigned char *)certificate->data, (unsigned)certificate->len};
    const gnutls_datum_t secret = {
        (unsigned char *)key->data, (unsigned)key->len};
    unsigned n = CHAIN_MAX;

    int r = gnutls_x509_crt_init(&p->leaf);
    if (r == 0)
        r = gnutls_x509_crt_import(p->leaf, &chain, GNUTLS_X509_FMT_PEM);
    if (r == 0)
        r = gnutls_pcert_list_import_x509_raw(
            p->chain, &n, &chain, GNUTLS_X509_FMT_PEM, 0);
    if (r == 0)
        p->n = n;
    if (r == 0)
        r = gnutls_privkey_init(&p->key);
    if (r == 0)
        r = gnutls_privkey_import_x509_raw(
            p->key, &secret, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (r == 0)
        return true;
    log_error("admin.listen_tls: %s and its key cannot be used by GnuTLS: %s; "
              "the other certificates are served",
        certificate->name, gnutls_strerror(r));
    pair_free(p);
    *p = (struct pair){0};
    return false;
}

static void
add(struct set *s, const struct tls_item *certificate,
    const struct tls_item *key)
{
    struct pair *more = realloc(s->pairs, (s->n + 1) * sizeof *more);

    if (more == NULL)
        return;
    s->pairs = more;
    s->pairs[s->n] = (struct pair){0};
    s->n += pair_load(&s->pairs[s->n], certificate, key);
}

static struct set *
load(const struct buf *all)
{
    struct set     *s = calloc(1, sizeof *s);
    struct tls_item item, certificate = {.data = NULL}, key = {.data = NULL};

    for (size_t at = 0; tls_bundle_next(all, &at, &item);) {
        if (item.kind == TLS_FILE_CERTIFICATE && certificate.data == NULL)
            certificate = item;
        if (item.kind == TLS_FILE_KEY && key.data == NULL)
            key = item;
    }
    if (s == NULL || certificate.data == NULL) {
        free(s);
        return NULL;
    }
    s->refs = 1;
    /* A file may hold certificate and key. */
    add(s, &certificate, key.data != NULL ? &key : &certificate);
    if (s->n == 0) {
        give_back(s);
        return NULL;
    }
    for (size_t at = 0; tls_bundle_next(all, &at, &item);)
        if (item.kind == TLS_FILE_SNI)
            add(s, &item, &item);
    return s;
}

static bool
usable(void)
{
    pthread_mutex_lock(&lock);
    bool is = current != NULL;
    pthread_mutex_unlock(&lock);
    return is;
}

void
http_tls_load(int bundle)
{
    struct buf all = BUF_INIT(0);

    if (!tls_bundle_read(bundle, &all)) {
        log_error("admin.listen_tls: cannot read the new certificates: %s; the "
                  "former ones stay",
            strerror(errno));
        return;
    }
    struct set *next = load(&all), *former;
    tls_bundle_wipe(&all);
    if (next == NULL) {
        if (usable())
            log_error("admin.listen_tls: the former certificate stays");
        return;
    }
    pthread_mutex_lock(&lock);
    former = current;
    current = next;
    pthread_mutex_unlock(&lock);
    give_back(former);
}

/* --- a handshake ------------------------------------------------------------- */

static struct pair *
named(struct set *s, const char *name)
{
    for (unsigned i = 1; i < s->n; i++)
        if (gnutls_x509_crt_check_hostname(s->pairs[i].leaf, name))
            return &s->pairs[i];
    return &s->pairs[0];
}

int
http_tls_choose(gnutls_session_t session, const gnutls_datum_t *authorities,
    int authorities_n, const gnutls_pk_algorithm_t *algorithms,
    int algorithms_n, gnutls_pcert_st **chain, unsigned *chain_n,
    gnutls_privkey_t *key)
{
    (void)authorities, (void)authorities_n, (void)algorithms,
        (void)algorithms_n;
    char        name[SERVER_NAME_MAX];
    size_t      n = sizeof name;
    unsigned    type;
    struct set *s = hold_current();

    if (s == NULL)
        return -1;
    struct pair *p = gnutls_server_name_get(session, name, &n, &type, 0) == 0 &&
            type == GNUTLS_NAME_DNS
        ? named(s, name)
        : &s->pairs[0];
    *chain = p->chain;
    *chain_n = p->n;
    *key = p->key;
    return 0;
}
