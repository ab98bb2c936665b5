/* auth_key: the key of a charge point, as it is stored. See auth_key.h. */
#include "auth_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#include "ensure.h"
#include "hex.h"
#include "identity.h"

#define SCHEME "sha256:"

bool
auth_key_unhex(const uint8_t *in, size_t len, uint8_t *out, size_t *n)
{
    if (len == 0 || len % 2 != 0)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int h = hex_digit(in[i]), l = hex_digit(in[i + 1]);
        if (h < 0 || l < 0)
            return false;
        out[i / 2] = (uint8_t)(h << 4 | l);
    }
    *n = len / 2;
    return true;
}

size_t
auth_key_canonical(const uint8_t *in, size_t len, uint8_t *out)
{
    size_t n;

    if (auth_key_unhex(in, len, out, &n))
        return n;
    memmove(out, in, len);
    return len;
}

/* SHA-256 of two runs of bytes. */
static void
hash(uint8_t out[32], const void *a, size_t a_len, const void *b, size_t b_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    ensure(ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(ctx, a, a_len) == 1 &&
        EVP_DigestUpdate(ctx, b, b_len) == 1 &&
        EVP_DigestFinal_ex(ctx, out, NULL) == 1);
    EVP_MD_CTX_free(ctx);
}

void
auth_key_make(
    struct auth_key *k, const uint8_t *key, size_t len, const uint8_t *salt)
{
    if (salt != NULL)
        memcpy(k->salt, salt, sizeof k->salt);
    else
        ensure(getrandom(k->salt, sizeof k->salt, 0) == sizeof k->salt);
    hash(k->hash, k->salt, 16, key, len);
}

void
auth_key_make_offered(struct auth_key *k, const char *name, size_t n,
    const uint8_t *key, size_t len)
{
    /* The name, a NUL, and the key. */
    char    text[IDENTITY_MAX + 1] = "";
    uint8_t full[32];

    ensure(n <= IDENTITY_MAX);
    memcpy(text, name, n);
    hash(full, text, n + 1, key, len);
    auth_key_make(k, key, len, full);
}

bool
auth_key_matches(const struct auth_key *k, const uint8_t *key, size_t len)
{
    uint8_t have[32];

    hash(have, k->salt, 16, key, len);
    bool same = CRYPTO_memcmp(have, k->hash, sizeof have) == 0;
    explicit_bzero(have, sizeof have);
    return same;
}

bool
auth_key_same(const struct auth_key *a, const struct auth_key *b)
{
    return CRYPTO_memcmp(a, b, sizeof *a) == 0;
}

static char *
put_hex(char *p, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        *p++ = "0123456789abcdef"[bytes[i] >> 4];
        *p++ = "0123456789abcdef"[bytes[i] & 15];
    }
    return p;
}

void
auth_key_text(const struct auth_key *k, char out[AUTH_KEY_TEXT])
{
    memcpy(out, SCHEME, sizeof SCHEME - 1);
    char *p = put_hex(out + sizeof SCHEME - 1, k->salt, sizeof k->salt);
    *p++ = ':';
    p = put_hex(p, k->hash, sizeof k->hash);
    *p = '\0';
}

bool
auth_key_parse(const char *text, size_t len, struct auth_key *k)
{
    const size_t scheme = sizeof SCHEME - 1;
    size_t       n;

    if (len != AUTH_KEY_TEXT - 1 || memcmp(text, SCHEME, scheme) != 0 ||
        text[scheme + 32] != ':')
        return false;
    const uint8_t *p = (const uint8_t *)text + scheme;
    return auth_key_unhex(p, 32, k->salt, &n) &&
        auth_key_unhex(p + 33, 64, k->hash, &n);
}
