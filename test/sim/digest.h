/*
 * digest: a set of texts, by their digests.
 *
 * Millions of messages are compared without keeping any: each is 128 bits
 * and a value. The digest is no secret and needs no strength; two unlike
 * texts with one digest are less likely than a broken machine. Pure.
 */
#ifndef SIM_DIGEST_H
#define SIM_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "jsonspan.h"

struct digest {
    uint64_t a, b; /* both 0: nothing */
};

/* Of some parts in order; where one ends and the next begins matters. */
struct digest digest_of(const struct span *parts, unsigned count);
struct digest digest_number(int64_t n);

struct digest_slot {
    struct digest key;
    struct digest other; /* the caller's: what the key stands for, */
    int64_t       value; /* and a number; zeros in a new slot */
};

struct digest_set {
    struct digest_slot *slots;
    size_t              size, count; /* slots there are, slots in use */
};

/* The slot of a key, made if need be; valid until the next call. */
struct digest_slot *digest_slot(struct digest_set *s, struct digest key);
/* The same, or NULL if it is not there. */
struct digest_slot *digest_find(const struct digest_set *s, struct digest key);
void                digest_free(struct digest_set *s);

#endif
