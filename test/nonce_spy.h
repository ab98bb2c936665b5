/*
 * nonce_spy: records key and nonce of each record that worker/net/aead.c seals.
 *
 * aead.c gets the functions of the AEAD ciphers from libcrypto's provider by
 * OSSL_PROVIDER_query_operation(). The function of that name here precedes the
 * library's; it returns the same ciphers with another encrypt_init, which first
 * calls nonce_spy_note(). The file that includes this header defines that
 * function.
 */
#ifndef TEST_NONCE_SPY_H
#define TEST_NONCE_SPY_H

#include <dlfcn.h>
#include <openssl/core_dispatch.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

static void nonce_spy_note(
    const unsigned char *key, size_t n, const unsigned char *nonce, size_t m);

#define NONCE_SPIES 8 /* number of ciphers, at most */

static OSSL_FUNC_cipher_encrypt_init_fn *nonce_spy_real[NONCE_SPIES];

#define NONCE_SPY(i)                                                           \
    static int nonce_spy_##i(void *ctx, const unsigned char *key, size_t n,    \
        const unsigned char *nonce, size_t m, const OSSL_PARAM params[])       \
    {                                                                          \
        if (key != NULL && nonce != NULL)                                      \
            nonce_spy_note(key, n, nonce, m);                                  \
        return nonce_spy_real[i](ctx, key, n, nonce, m, params);               \
    }
NONCE_SPY(0)
NONCE_SPY(1)
NONCE_SPY(2)
NONCE_SPY(3)
NONCE_SPY(4)
NONCE_SPY(5)
NONCE_SPY(6)
NONCE_SPY(7)

/* The dispatch table with another encrypt_init. */
static const OSSL_DISPATCH *
nonce_spy_on(const OSSL_DISPATCH *f)
{
    static OSSL_FUNC_cipher_encrypt_init_fn *const spies[NONCE_SPIES] = {
        nonce_spy_0, nonce_spy_1, nonce_spy_2, nonce_spy_3, nonce_spy_4,
        nonce_spy_5, nonce_spy_6, nonce_spy_7};
    static size_t used;
    size_t        n = 0;

    while (f[n].function_id != 0)
        n++;
    OSSL_DISPATCH *copy = calloc(n + 1, sizeof *copy);
    if (copy == NULL || used == NONCE_SPIES)
        abort();
    memcpy(copy, f, n * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        if (f[i].function_id == OSSL_FUNC_CIPHER_ENCRYPT_INIT) {
            nonce_spy_real[used] = OSSL_FUNC_cipher_encrypt_init(&f[i]);
            copy[i].function = (void (*)(void))spies[used];
        }
    used++;
    return copy;
}

/* True if the first of the names is that of a cipher of TLS. */
static int
nonce_spy_wants(const char *names)
{
    static const char *const wanted[] = {
        "AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};
    size_t n = strcspn(names, ":");

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (n == strlen(wanted[i]) && memcmp(names, wanted[i], n) == 0)
            return 1;
    return 0;
}

const OSSL_ALGORITHM *
OSSL_PROVIDER_query_operation(
    const OSSL_PROVIDER *provider, int operation, int *no_cache)
{
    static OSSL_ALGORITHM *copies;
    const OSSL_ALGORITHM *(*real)(const OSSL_PROVIDER *, int, int *);
    size_t n = 0;

    *(void **)&real = dlsym(RTLD_NEXT, "OSSL_PROVIDER_query_operation");
    const OSSL_ALGORITHM *a = real(provider, operation, no_cache);
    if (a == NULL || operation != OSSL_OP_CIPHER)
        return a;
    if (copies != NULL)
        return copies;
    while (a[n].algorithm_names != NULL)
        n++;
    copies = calloc(n + 1, sizeof *copies);
    if (copies == NULL)
        abort();
    memcpy(copies, a, n * sizeof *copies);
    for (size_t i = 0; i < n; i++)
        if (nonce_spy_wants(a[i].algorithm_names))
            copies[i].implementation = nonce_spy_on(a[i].implementation);
    return copies;
}

#endif
