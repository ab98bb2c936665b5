/* registry_proofs: proofs that each identity has given. See registry_proofs.h.
 */
#include "registry_proofs.h"

#include <string.h>

#include "registry_layout.h"

void
registry_proof_put(
    struct registry *r, uint32_t entry, const void *proof, uint32_t when)
{
    struct registry_proof *p = registry_row(r, REGISTRY_PROOFS, entry);
    uint64_t               word[REGISTRY_PROOF / 8];

    memcpy(word, proof, sizeof word);
    p->when = 0;
    for (unsigned i = 0; i < REGISTRY_PROOF / 8; i++)
        p->word[i] = word[i];
    p->when = when;
}

bool
registry_proof_get(
    struct registry *r, uint32_t entry, void *proof, uint32_t *when)
{
    struct registry_proof *p = registry_row(r, REGISTRY_PROOFS, entry);
    uint64_t               word[REGISTRY_PROOF / 8];

    *when = p->when;
    for (unsigned i = 0; i < REGISTRY_PROOF / 8; i++)
        word[i] = p->word[i];
    memcpy(proof, word, sizeof word);
    return *when != 0 && p->when == *when;
}

void
registry_proof_clear(struct registry *r, uint32_t entry)
{
    struct registry_proof *p = registry_row(r, REGISTRY_PROOFS, entry);

    p->when = 0;
}

/* --- certificates -------------------------------------------------------- */

static _Atomic uint32_t *
certificate_of(const struct registry *r, uint32_t entry)
{
    return registry_row((struct registry *)r, REGISTRY_CERTIFICATES, entry);
}

void
registry_set_certificate(
    struct registry *r, uint32_t entry, unsigned profile, uint32_t end)
{
    _Atomic uint32_t *word = certificate_of(r, entry);
    unsigned          before = *word >> 30;

    *word = (before > profile ? before : profile) << 30 |
        (end & (REGISTRY_ENDS - 1));
}

void
registry_certificate(
    const struct registry *r, uint32_t entry, unsigned *profile, uint32_t *end)
{
    uint32_t word = *certificate_of(r, entry);

    *profile = word >> 30;
    *end = word & (REGISTRY_ENDS - 1);
}

void
registry_certificate_clear(struct registry *r, uint32_t entry)
{
    *certificate_of(r, entry) = 0;
}
