/* aead: the AEAD ciphers of TLS. See aead.h. */
#include "net/aead.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

struct aead {
    EVP_CIPHER *cipher; /* this reference keeps the provider loaded */
    size_t      key_size;
    void       *opener, *sealer; /* contexts of the provider */

    OSSL_FUNC_cipher_decrypt_init_fn   *decrypt_init;
    OSSL_FUNC_cipher_encrypt_init_fn   *encrypt_init;
    OSSL_FUNC_cipher_update_fn         *update;
    OSSL_FUNC_cipher_final_fn          *final;
    OSSL_FUNC_cipher_get_ctx_params_fn *get_ctx_params;
};

/* Finds the provider's functions of the fetched cipher. */
static const OSSL_DISPATCH *
find_functions(const EVP_CIPHER *c)
{
    int                   no_cache;
    const OSSL_ALGORITHM *a = OSSL_PROVIDER_query_operation(
        EVP_CIPHER_get0_provider(c), OSSL_OP_CIPHER, &no_cache);

    for (; a != NULL && a->algorithm_names != NULL; a++) {
        char names[256], *rest = NULL;
        OPENSSL_strlcpy(names, a->algorithm_names, sizeof names);
        for (char *n = strtok_r(names, ":", &rest); n != NULL;
             n = strtok_r(NULL, ":", &rest))
            if (EVP_CIPHER_is_a(c, n))
                return a->implementation;
    }
    return NULL;
}

static bool
take_functions(struct aead *a, const EVP_CIPHER *c)
{
    OSSL_FUNC_cipher_newctx_fn *newctx = NULL;
    const OSSL_DISPATCH        *f = find_functions(c);
    void                       *provider =
        OSSL_PROVIDER_get0_provider_ctx(EVP_CIPHER_get0_provider(c));

    for (; f != NULL && f->function_id != 0; f++)
        switch (f->function_id) {
        case OSSL_FUNC_CIPHER_NEWCTX:
            newctx = OSSL_FUNC_cipher_newctx(f);
            break;
        case OSSL_FUNC_CIPHER_DECRYPT_INIT:
            a->decrypt_init = OSSL_FUNC_cipher_decrypt_init(f);
            break;
        case OSSL_FUNC_CIPHER_ENCRYPT_INIT:
            a->encrypt_init = OSSL_FUNC_cipher_encrypt_init(f);
            break;
        case OSSL_FUNC_CIPHER_UPDATE:
            a->update = OSSL_FUNC_cipher_update(f);
            break;
        case OSSL_FUNC_CIPHER_FINAL:
            a->final = OSSL_FUNC_cipher_final(f);
            break;
        case OSSL_FUNC_CIPHER_GET_CTX_PARAMS:
            a->get_ctx_params = OSSL_FUNC_cipher_get_ctx_params(f);
            break;
        default:
            break;
        }
    if (newctx == NULL || a->decrypt_init == NULL || a->encrypt_init == NULL ||
        a->update == NULL || a->final == NULL || a->get_ctx_params == NULL)
        return false;
    a->opener = newctx(provider);
    a->sealer = newctx(provider);
    return a->opener != NULL && a->sealer != NULL;
}

struct aead *
aead_new(const char *name, size_t key_size)
{
    struct aead *a = calloc(1, sizeof *a);
    EVP_CIPHER  *c = EVP_CIPHER_fetch(NULL, name, NULL);

    if (a == NULL || c == NULL ||
        EVP_CIPHER_get_key_length(c) != (int)key_size ||
        EVP_CIPHER_get_iv_length(c) != AEAD_NONCE || !take_functions(a, c)) {
        EVP_CIPHER_free(c);
        free(a);
        return NULL;
    }
    a->cipher = c;
    a->key_size = key_size;
    return a;
}

bool
aead_open(struct aead *a, const uint8_t *key, const uint8_t nonce[AEAD_NONCE],
    const uint8_t *extra, size_t m, uint8_t *p, size_t n, uint8_t tag[AEAD_TAG])
{
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(
                                     OSSL_CIPHER_PARAM_AEAD_TAG, tag, AEAD_TAG),
        OSSL_PARAM_construct_end()};
    size_t           done;

    return a->decrypt_init(
               a->opener, key, a->key_size, nonce, AEAD_NONCE, params) == 1 &&
        a->update(a->opener, NULL, &done, m, extra, m) == 1 &&
        (n == 0 || a->update(a->opener, p, &done, n, p, n) == 1) &&
        a->final(a->opener, p + n, &done, 0) == 1;
}

bool
aead_seal(struct aead *a, const uint8_t *key, const uint8_t nonce[AEAD_NONCE],
    const uint8_t *extra, size_t m, uint8_t *p, size_t n, uint8_t tag[AEAD_TAG])
{
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(
                               OSSL_CIPHER_PARAM_AEAD_TAG, tag, AEAD_TAG),
        OSSL_PARAM_construct_end()};
    size_t     done;

    return a->encrypt_init(
               a->sealer, key, a->key_size, nonce, AEAD_NONCE, NULL) == 1 &&
        a->update(a->sealer, NULL, &done, m, extra, m) == 1 &&
        (n == 0 || a->update(a->sealer, p, &done, n, p, n) == 1) &&
        a->final(a->sealer, p + n, &done, 0) == 1 &&
        a->get_ctx_params(a->sealer, params) == 1;
}
