/*
 * aead: the AEAD ciphers of TLS (RFC 5116) of libcrypto, with the key as an
 * argument of each call.
 *
 * The cipher is fetched by EVP, and its functions are then called as the
 * provider offers them (provider-cipher(7), OSSL_PROVIDER_query_operation(3)).
 * EVP_CipherInit_ex2() with a key asks the provider for the sizes of key and
 * nonce, by name, in each call; that took more than half of the instructions of
 * a small record.
 */
#ifndef WORKER_NET_AEAD_H
#define WORKER_NET_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AEAD_TAG 16
#define AEAD_NONCE 12

struct aead; /* a cipher with a context each for opening and sealing */

/* name: OpenSSL's name of the cipher; key_size: in bytes. Returns NULL if this
 * OpenSSL lacks the cipher, or its key has another size. The object is never
 * freed. */
struct aead *aead_new(const char *name, size_t key_size);

/* Decrypts p[0..n) in place. False if `tag` does not authenticate it together
 * with extra[0..m): p must then not be used. key has the size that aead_new()
 * was called with. */
bool aead_open(struct aead *a, const uint8_t *key,
    const uint8_t nonce[AEAD_NONCE], const uint8_t *extra, size_t m, uint8_t *p,
    size_t n, uint8_t tag[AEAD_TAG]);

/* Encrypts p[0..n) in place and writes the tag. False if libcrypto failed. */
bool aead_seal(struct aead *a, const uint8_t *key,
    const uint8_t nonce[AEAD_NONCE], const uint8_t *extra, size_t m, uint8_t *p,
    size_t n, uint8_t tag[AEAD_TAG]);

#endif
