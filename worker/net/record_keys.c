/* record_keys: the keys of a TLS connection. See record_keys.h. */
#include "net/record_keys.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string.h>

const struct record_parameters record_parameters[RECORD_SUITES] = {
    [RECORD_AES128] = {"AES-128-GCM", "SHA256", 16, 32},
    [RECORD_AES256] = {"AES-256-GCM", "SHA384", 32, 48},
    [RECORD_CHACHA] = {"ChaCha20-Poly1305", "SHA256", 32, 32},
};

static EVP_MAC_CTX *hmacs[RECORD_SUITES];
static EVP_KDF     *prf;

static EVP_MAC_CTX *
make_hmac(int s)
{
    EVP_MAC     *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    OSSL_PARAM   params[] = {
          OSSL_PARAM_construct_utf8_string(
              OSSL_MAC_PARAM_DIGEST, (char *)record_parameters[s].hash, 0),
          OSSL_PARAM_construct_end()};

    EVP_MAC_free(mac); /* the context holds a reference */
    if (ctx != NULL && EVP_MAC_CTX_set_params(ctx, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

bool
record_keys_init(void)
{
    for (int s = 0; s < RECORD_SUITES; s++)
        if (hmacs[s] == NULL && (hmacs[s] = make_hmac(s)) == NULL)
            return false;
    if (prf == NULL)
        prf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    return prf != NULL;
}

size_t
record_size(enum record_version v, enum record_suite s)
{
    return sizeof(struct record) + 2 * (size_t)record_parameters[s].key +
        (v == RECORD_TLS13 ? 2 * (size_t)record_parameters[s].hash_size : 0);
}

uint8_t *
record_key(struct record *r, bool write)
{
    return r->keys + (write ? record_parameters[r->suite].key : 0);
}

static uint8_t *
secret_of(struct record *r, bool write)
{
    return r->keys + 2 * record_parameters[r->suite].key +
        (write ? record_parameters[r->suite].hash_size : 0);
}

bool
record_explicit_nonce(const struct record *r)
{
    return r->version == RECORD_TLS12 && r->suite != RECORD_CHACHA;
}

uint64_t
record_nonce(const struct record *r, uint64_t number)
{
    uint64_t first = 0;

    for (int i = 4; i < 12; i++)
        first = first << 8 | r->write_iv[i];
    return first + number;
}

void
record_set_nonce(struct record *r, uint64_t number, uint64_t nonce)
{
    uint64_t first = nonce - number;

    for (int i = 11; i >= 4; i--, first >>= 8)
        r->write_iv[i] = (uint8_t)first;
}

/* HKDF-Expand-Label of RFC 8446 section 7.1 with an empty context; n is at most
 * the hash's size. */
static bool
expand_label(enum record_suite s, const uint8_t *secret, const char *label,
    uint8_t *out, size_t n)
{
    /* n is at most one block, so HKDF-Expand is one HMAC (RFC 5869 2.3). */
    uint8_t info[2 + 1 + 255 + 1 + 1], mac[EVP_MAX_MD_SIZE];
    size_t  len = strlen(label), at = 0;
    size_t  size = 0;

    if (n > record_parameters[s].hash_size || len + 6 > 255)
        return false;
    info[at++] = (uint8_t)(n >> 8);
    info[at++] = (uint8_t)n;
    info[at++] = (uint8_t)(len + 6);
    memcpy(info + at, "tls13 ", 6);
    memcpy(info + at + 6, label, len);
    at += len + 6;
    info[at++] = 0;
    info[at++] = 1;
    bool good = EVP_MAC_init(hmacs[s], secret, record_parameters[s].hash_size,
                    NULL) == 1 &&
        EVP_MAC_update(hmacs[s], info, at) == 1 &&
        EVP_MAC_final(hmacs[s], mac, &size, sizeof mac) == 1 &&
        size == record_parameters[s].hash_size;
    if (good)
        memcpy(out, mac, n);
    OPENSSL_cleanse(mac, sizeof mac);
    return good;
}

/* Derives the key and the iv of one direction from its secret. */
static bool
rekey(struct record *r, bool write)
{
    const uint8_t *secret = secret_of(r, write);

    return expand_label(r->suite, secret, "key", record_key(r, write),
               record_parameters[r->suite].key) &&
        expand_label(
            r->suite, secret, "iv", write ? r->write_iv : r->read_iv, 12);
}

bool
record_advance(struct record *r, bool write)
{
    uint8_t  next[EVP_MAX_MD_SIZE];
    uint8_t *secret = secret_of(r, write);
    size_t   n = record_parameters[r->suite].hash_size;

    bool good = expand_label(r->suite, secret, "traffic upd", next, n);
    if (good) {
        memcpy(secret, next, n);
        good = rekey(r, write);
        *(write ? &r->write_seq : &r->read_seq) = 0;
    }
    OPENSSL_cleanse(next, sizeof next);
    return good;
}

static void
begin(struct record *r, enum record_version v, enum record_suite s)
{
    memset(r, 0, record_size(v, s));
    r->version = (uint8_t)v;
    r->suite = (uint8_t)s;
    r->max_text = RECORD_TEXT;
}

bool
record_begin13(struct record *r, enum record_suite s,
    const uint8_t *read_secret, const uint8_t *write_secret)
{
    begin(r, RECORD_TLS13, s);
    memcpy(secret_of(r, false), read_secret, record_parameters[s].hash_size);
    memcpy(secret_of(r, true), write_secret, record_parameters[s].hash_size);
    return rekey(r, false) && rekey(r, true);
}

bool
record_begin12(struct record *r, enum record_suite s, bool client,
    const uint8_t *master, const uint8_t *client_random,
    const uint8_t *server_random)
{
    uint8_t seed[13 + 32 + 32], block[2 * (32 + 12)];
    size_t  key = record_parameters[s].key, iv = s == RECORD_CHACHA ? 12 : 4;

    begin(r, RECORD_TLS12, s);
    /* The label has no NUL.
     * NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
    memcpy(seed, "key expansion", 13);
    memcpy(seed + 13, server_random, 32);
    memcpy(seed + 45, client_random, 32);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(
            OSSL_KDF_PARAM_DIGEST, (char *)record_parameters[s].hash, 0),
        OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_SECRET, (void *)master, 48),
        OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_SEED, seed, sizeof seed),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(prf);
    bool         good =
        ctx != NULL && EVP_KDF_derive(ctx, block, 2 * (key + iv), params) == 1;
    EVP_KDF_CTX_free(ctx);
    if (good) {
        /* client key, server key, client iv, server iv: RFC 5246 6.3 */
        memcpy(record_key(r, false), block + (client ? key : 0), key);
        memcpy(record_key(r, true), block + (client ? 0 : key), key);
        memcpy(r->read_iv, block + 2 * key + (client ? iv : 0), iv);
        memcpy(r->write_iv, block + 2 * key + (client ? 0 : iv), iv);
    }
    OPENSSL_cleanse(block, sizeof block);
    return good;
}

void
record_wipe(struct record *r)
{
    OPENSSL_cleanse(r, record_size(r->version, r->suite));
}
