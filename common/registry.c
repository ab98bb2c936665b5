/* registry: which connection owns which identity, in shared memory. See
 * registry.h. */
#include "registry.h"

#include <string.h>

#include "ensure.h"
#include "registry_layout.h"
#include "registry_names.h"

#define COPY_TRIES 4 /* attempts of a reader, which does not take the lock */

void
registry_init(struct registry *r, uint32_t capacity)
{
    pthread_mutexattr_t a;

    hash_key_draw(&r->key);
    r->capacity = capacity;
    r->heads = registry_heads_for(capacity);
    registry_attach(r, capacity);
    r->used = 0;
    r->hand = 0;
    /* New memory is zero, so chains are stored as entry + 1. */
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    ensure(pthread_mutex_init(&r->lock, &a) == 0);
    pthread_mutexattr_destroy(&a);
}

enum registry_result
registry_claim(struct registry *r, const char *name, size_t len, unsigned slot,
    uint32_t index, _Atomic uint64_t *sequence, const uint64_t addr[2],
    uint16_t port, struct registry_claim *out)
{
    if (!registry_lock_within(r, REGISTRY_TRY_MS))
        return REGISTRY_BUSY;
    uint32_t             i;
    enum registry_result result = registry_find_or_add(r, name, len, true, &i);
    if (result != REGISTRY_OK) {
        registry_unlock(r);
        return result;
    }
    struct registry_entry *e = registry_at(r, i);
    out->entry = i;
    out->former_generation = e->generation;
    out->former_addr[0] = e->addr[0];
    out->former_addr[1] = e->addr[1];
    out->former_port = e->port;
    /* The generation is drawn under the lock, so that generations are in the
     * order of the claims. */
    out->generation = atomic_fetch_add(sequence, 1);
    out->self = cref_make(slot, index, out->generation);
    e->generation = out->generation;
    e->addr[0] = addr[0];
    e->addr[1] = addr[1];
    e->port = port;
    e->claims++;
    /* An exchange instead of a store, because the former owner may be releasing
       the entry. */
    out->former =
        atomic_exchange_explicit(&e->owner, out->self, memory_order_acq_rel);
    if (!registry_plausible(out->former, out->former_generation))
        out->former = 0; /* no claim has made that word */
    registry_unlock(r);
    return REGISTRY_OK;
}

/* The owner is changed by compare-and-swap, as in a release. A claim that is
 * made in between wins, because it exchanges the word. If the swap succeeds,
 * the generation has not changed, because it belongs to the owner that is
 * replaced. */
cref
registry_adopt(struct registry *r, uint32_t entry, uint64_t generation,
    cref from, unsigned slot, uint32_t index)
{
    struct registry_entry *e = registry_at(r, entry);
    cref                   to = cref_make(slot, index, generation);

    if (atomic_load(&e->generation) != generation ||
        !atomic_compare_exchange_strong_explicit(
            &e->owner, &from, to, memory_order_acq_rel, memory_order_acquire))
        return 0;
    return to;
}

bool
registry_owns(struct registry *r, uint32_t entry, cref self)
{
    return atomic_load_explicit(
               &registry_at(r, entry)->owner, memory_order_acquire) == self;
}

bool
registry_holds(struct registry *r, uint32_t entry, cref self)
{
    return registry_owns(r, entry, self) &&
        registry_intact(r, registry_at(r, entry));
}

void
registry_mend(struct registry *r, uint32_t entry)
{
    struct registry_entry *e = registry_at(r, entry);
    cref                   owner = e->owner;

    if (registry_intact(r, e) &&
        (owner == 0 || registry_plausible(owner, e->generation)))
        return;
    if (!registry_lock(r))
        return; /* the next look-up finds the damage again */
    if (e->name_len != 0 && !registry_intact(r, e))
        registry_rebuild(r);
    else
        registry_owner(e);
    registry_unlock(r);
}

const char registry_no_name[] = "?";

const char *
registry_name(struct registry *r, uint32_t entry, size_t *len)
{
    struct registry_entry *e = registry_at(r, entry);

    *len = e->name_len;
    if (*len > 0 && *len <= IDENTITY_MAX && registry_intact(r, e))
        return e->name;
    *len = 1;
    return registry_no_name;
}

bool
registry_release(struct registry *r, uint32_t entry, cref self)
{
    return atomic_compare_exchange_strong_explicit(
        &registry_at(r, entry)->owner, &self, 0, memory_order_acq_rel,
        memory_order_acquire);
}

/* Copies an entry while its owner may write it. A claim changes two words one
 * after the other, so a copy taken in between is repeated. */
bool
registry_copy(struct registry *r, uint32_t i, struct registry_entry *out)
{
    if (i >= registry_used(r))
        return false;
    for (int tries = 0; tries < COPY_TRIES; tries++) {
        memcpy(out, registry_at(r, i), sizeof *out);
        atomic_thread_fence(memory_order_acquire);
        if (!registry_intact(r, out))
            return false;
        if (out->owner == 0 || registry_plausible(out->owner, out->generation))
            return true;
    }
    out->owner = 0; /* no claim has made that word */
    return true;
}
