/*
 * digest: a set of texts, represented by their digests.
 *
 * Millions of messages are compared without storing their text: each is
 * represented by 128 bits and a value. The digest needs no cryptographic
 * strength; it is very unlikely that two different texts have the same digest.
 * Pure.
 */
#ifndef SIM_DIGEST_H
#define SIM_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "jsonspan.h"

struct digest {
    uint64_t a, b; /* both 0: empty */
};

/* Returns the digest of some parts in order. Texts that are cut into parts
 * differently have different digests. */
struct digest digest_of(const struct span *parts, unsigned count);
struct digest digest_number(int64_t n);

struct digest_slot {
    struct digest key;
    struct digest other; /* for the caller: a second digest, */
    int64_t       value; /* and a number; both are 0 in a new slot */
};

struct digest_set {
    struct digest_slot *slots;
    size_t              size, count; /* size of the table, slots in use */
};

/* Returns the slot of a key, and makes it if it does not exist. The pointer is
 * valid until the next call. */
struct digest_slot *digest_slot(struct digest_set *s, struct digest key);
/* Returns the slot of a key, NULL if it does not exist. */
struct digest_slot *digest_find(const struct digest_set *s, struct digest key);
void                digest_free(struct digest_set *s);

#endif
