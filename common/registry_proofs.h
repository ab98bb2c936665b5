/*
 * registry_proofs: how each identity has authenticated, in shared memory: the
 * key of its last connection, the highest security profile, and the end of its
 * last client certificate.
 *
 * Written by the owner of the entry only, without a lock; kept until the
 * identity is forgotten.
 */
#ifndef COMMON_REGISTRY_PROOFS_H
#define COMMON_REGISTRY_PROOFS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct registry;

/*
 * The key of an identity's last connection, in a form that only the workers
 * use. Used with [auth] mode = redis; otherwise the table takes no memory. Two
 * owners that write at the same time may leave a mixture, which matches no key.
 */
#define REGISTRY_PROOF 48 /* bytes */

struct registry_proof {
    _Atomic uint64_t word[REGISTRY_PROOF / 8];
    _Atomic uint32_t when; /* 0: there is none */
};

/* Stores, copies or removes the proof of an entry. proof has REGISTRY_PROOF
 * bytes. when is any number except 0, chosen by the writer.
 * registry_proof_get() is false if there is no proof, or if another process is
 * writing it. */
void registry_proof_put(
    struct registry *r, uint32_t entry, const void *proof, uint32_t when);
bool registry_proof_get(
    struct registry *r, uint32_t entry, void *proof, uint32_t *when);
void registry_proof_clear(struct registry *r, uint32_t entry);

#define REGISTRY_END_S 4 /* seconds of one unit */
#define REGISTRY_ENDS (UINT32_C(1) << 30)

/* The highest security profile that the identity has used (0: never TLS), and
 * the end of its last client certificate in units of REGISTRY_END_S since 1970
 * (0: none). A lower profile does not replace a higher one. */
void registry_set_certificate(
    struct registry *r, uint32_t entry, unsigned profile, uint32_t end);
void registry_certificate(
    const struct registry *r, uint32_t entry, unsigned *profile, uint32_t *end);
void registry_certificate_clear(struct registry *r, uint32_t entry);

#endif
