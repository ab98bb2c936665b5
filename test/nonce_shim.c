/*
 * nonce_shim: records the key and the nonce with which each record was sealed.
 * It is loaded into the gateway by LD_PRELOAD.
 *
 * Key and nonce are read where they are passed to the cipher of libcrypto
 * (nonce_spy.h). A hash of both, of 16 bytes, is written to the file that
 * OCPPD_NONCES names, which every process maps; the first 16 bytes of the file
 * count the hashes. No hash may occur twice, from any process and connection.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nonce_spy.h"

#define MOST ((uint64_t)4 << 20) /* records at most */

static struct nonces {
    _Atomic uint64_t n, spare;
    uint64_t         hash[MOST][2];
} * nonces;

__attribute__((constructor)) static void
begin(void)
{
    const char *path = getenv("OCPPD_NONCES");

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

static void
nonce_spy_note(
    const unsigned char *key, size_t n, const unsigned char *nonce, size_t m)
{
    if (nonces == NULL)
        return;
    uint64_t i = atomic_fetch_add(&nonces->n, 1);
    if (i >= MOST)
        abort();
    nonces->hash[i][0] =
        hash(hash(UINT64_C(0xcbf29ce484222325), key, n), nonce, m);
    nonces->hash[i][1] =
        hash(hash(UINT64_C(0x9e3779b97f4a7c15), nonce, m), key, n);
}
