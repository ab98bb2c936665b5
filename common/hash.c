/* hash: SipHash-2-4 for tables keyed from outside. See hash.h. */
#include "hash.h"

#include <string.h>
#include <sys/random.h>

#include "ensure.h"

struct state {
    uint64_t v[4];
};

static uint64_t
rotate(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void
round_of(struct state *s)
{
    uint64_t *v = s->v;

    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static void
absorb(struct state *s, uint64_t word)
{
    s->v[3] ^= word;
    round_of(s);
    round_of(s);
    s->v[0] ^= word;
}

/* Reads up to 8 bytes as a little-endian number, whatever the byte order of the
 * machine. */
static uint64_t
little(const unsigned char *p, size_t n)
{
    uint64_t x = 0;

    for (size_t i = 0; i < n; i++)
        x |= (uint64_t)p[i] << 8 * i;
    return x;
}

void
hash_key_draw(struct hash_key *key)
{
    ensure(getrandom(key, sizeof *key, 0) == sizeof *key);
}

uint64_t
hash_keyed(const struct hash_key *key, uint64_t kind, const void *p, size_t n)
{
    const unsigned char *s = p;
    uint64_t             k0 = key->k[0] ^ kind, k1 = key->k[1];
    struct state         h = {{k0 ^ UINT64_C(0x736f6d6570736575),
                k1 ^ UINT64_C(0x646f72616e646f6d), k0 ^ UINT64_C(0x6c7967656e657261),
                k1 ^ UINT64_C(0x7465646279746573)}};
    size_t               i;

    for (i = 0; i + 8 <= n; i += 8)
        absorb(&h, little(s + i, 8));
    absorb(&h, (uint64_t)n << 56 | little(s + i, n - i));
    h.v[2] ^= 0xff;
    for (int k = 0; k < 4; k++)
        round_of(&h);
    return h.v[0] ^ h.v[1] ^ h.v[2] ^ h.v[3];
}

uint64_t
hash_sum(const void *p, size_t n, uint64_t seed)
{
    const unsigned char *s = p;
    uint64_t             h = UINT64_C(14695981039346656037) ^ seed;

    for (size_t i = 0; i < n; i++)
        h = (h ^ s[i]) * UINT64_C(1099511628211);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}
