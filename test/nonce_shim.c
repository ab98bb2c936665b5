/*
 * nonce_shim: under which key and nonce was each record sealed? For LD_PRELOAD
 * into the gateway.
 *
 * A record is sealed by one EVP_EncryptInit_ex2() with key and nonce
 * (worker/net/record.c). A hash over both, of 16 bytes, goes into the file that
 * OCPPD_NONCES names, which is mapped by every process; its first 16 bytes
 * count them. None may be there twice, whichever process and connection it is
 * from.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <openssl/evp.h>

#define MOST ((uint64_t)4 << 20) /* records */

static struct nonces {
    _Atomic uint64_t n, spare;
    uint64_t         hash[MOST][2];
} * nonces;
static int (*real)(EVP_CIPHER_CTX *, const EVP_CIPHER *, const unsigned char *,
    const unsigned char *, const OSSL_PARAM *);

__attribute__((constructor)) static void
begin(void)
{
    const char *path = getenv("OCPPD_NONCES");

    real = (int (*)(EVP_CIPHER_CTX *, const EVP_CIPHER *, const unsigned char *,
        const unsigned char *, const OSSL_PARAM *))dlsym(RTLD_NEXT,
        "EVP_EncryptInit_ex2");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CREAT, 0666);
    if (file < 0 || ftruncate(file, sizeof *nonces) != 0)
        return;
    nonces =
        mmap(NULL, sizeof *nonces, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (nonces == MAP_FAILED)
        abort();
    close(file);
}

static uint64_t
hash(uint64_t h, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
        h ^= h >> 29;
    }
    return h;
}

int
EVP_EncryptInit_ex2(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher,
    const unsigned char *key, const unsigned char *iv,
    const OSSL_PARAM params[])
{
    if (nonces != NULL && key != NULL && iv != NULL) {
        size_t   n = (size_t)EVP_CIPHER_CTX_get_key_length(ctx);
        size_t   m = (size_t)EVP_CIPHER_CTX_get_iv_length(ctx);
        uint64_t i = atomic_fetch_add(&nonces->n, 1);
        if (i >= MOST)
            abort();
        nonces->hash[i][0] =
            hash(hash(UINT64_C(0xcbf29ce484222325), key, n), iv, m);
        nonces->hash[i][1] =
            hash(hash(UINT64_C(0x9e3779b97f4a7c15), iv, m), key, n);
    }
    return real(ctx, cipher, key, iv, params);
}
