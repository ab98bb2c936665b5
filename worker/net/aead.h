/*
 * aead: the AEAD ciphers of TLS (RFC 5116), out of libcrypto, another key with
 * each call.
 *
 * The cipher is fetched by EVP, and its functions are then called as the
 * provider offers them (provider-cipher(7), OSSL_PROVIDER_query_operation(3)).
 * EVP_CipherInit_ex2() with a key asks the provider for the sizes of key and
 * nonce, by name, each time; more than half of the instructions of a small
 * record went there.
 */
#ifndef WORKER_NET_AEAD_H
#define WORKER_NET_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AEAD_TAG 16
#define AEAD_NONCE 12

struct aead; /* a cipher with a context each for opening and sealing */

/* By OpenSSL's name. NULL: this OpenSSL lacks it, or its key has another size.
 * It lives as long as the process. */
struct aead *aead_new(const char *name, size_t key_size);

/* p[0..n) is replaced by the plaintext if `tag` is right for it and for
 * extra[0..m); false if not. */
bool aead_open(struct aead *a, const uint8_t *key,
    const uint8_t nonce[AEAD_NONCE], const uint8_t *extra, size_t m, uint8_t *p,
    size_t n, uint8_t tag[AEAD_TAG]);

/* Replaces p[0..n) by the ciphertext and writes the tag. False: libcrypto
 * failed. */
bool aead_seal(struct aead *a, const uint8_t *key,
    const uint8_t nonce[AEAD_NONCE], const uint8_t *extra, size_t m, uint8_t *p,
    size_t n, uint8_t tag[AEAD_TAG]);

#endif
