/*
 * hash: SipHash-2-4, keyed, for every table whose keys come from outside.
 *
 * A table that clients fill (identities, addresses) is fast only if its hash
 * cannot be predicted. With an unkeyed hash, or one that only mixes a seed in
 * at the start, an attacker can prepare names that share one chain for any
 * seed. SipHash with a random key of 128 bits has no such names (Aumasson and
 * Bernstein, "SipHash: a fast short-input PRF", 2012).
 *
 * Pure, except for hash_key_draw().
 */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
    uint64_t k[2];
};

/* Draws a key from the kernel's random numbers. Without them the process is
 * aborted (ensure.h). */
void hash_key_draw(struct hash_key *key);

/* kind separates tables and uses that share a key: equal bytes of two kinds
 * have unrelated hashes. */
uint64_t hash_keyed(
    const struct hash_key *key, uint64_t kind, const void *p, size_t n);

/* FNV-1a with a final mix, for fingerprints and for the detection of stray
 * stores: the value is the same in every process and after a restart.
 * Collisions can be made on purpose, so it must not index a table. */
uint64_t hash_sum(const void *p, size_t n, uint64_t seed);

#endif
