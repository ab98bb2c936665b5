/* registry_names: the entries by name. See registry_names.h. */
#include "registry_names.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "ensure.h"
#include "registry_layout.h"

/* When every entry is in use, at least this many are examined to find the one
 * that was absent longest. */
#define FORGET_SAMPLE 64
/* At most this many are examined in one claim, so that a full table does not
 * make a handshake expensive. The next claim continues after them. */
#define FORGET_LOOKS 4096
#define FORGET_AFTER_S 60 /* longer than the master lets a worker hang */
/* Attempts of a reader, which does not take the lock. */
#define PEEK_TRIES 4
#define LOOK_UP_STEPS 4096 /* a longer chain must be a loop */

uint64_t registry_steps;

static uint32_t *
heads(struct registry *r)
{
    return registry_table(r, REGISTRY_HEADS);
}

static struct registry_entry *
entries(struct registry *r)
{
    return registry_table(r, REGISTRY_ENTRIES);
}

static uint32_t
used(struct registry *r)
{
    uint32_t n = r->used, most = registry_capacity(r);

    return n < most ? n : most;
}

static uint32_t
hash_of(struct registry *r, const char *name, size_t len)
{
    return (uint32_t)hash_keyed(&r->key, 0, name, len);
}

bool
registry_intact(struct registry *r, struct registry_entry *e)
{
    uint8_t len = e->name_len;

    return len > 0 && len <= IDENTITY_MAX &&
        e->hash == hash_of(r, e->name, len);
}

bool
registry_plausible(cref owner, uint64_t generation)
{
    return owner == cref_make(cref_slot(owner), cref_index(owner), generation);
}

cref
registry_owner(struct registry_entry *e)
{
    cref owner = e->owner;

    if (owner != 0 && !registry_plausible(owner, e->generation)) {
        atomic_compare_exchange_strong(&e->owner, &owner, 0);
        return e->owner;
    }
    return owner;
}

/* Clears the rows of the entry in the other tables. Their files take the lock
 * of this one, and this file calls them, because its recovery must not let the
 * lock go while a removed entry has rows.
 * The name is removed last, because the entry counts as in use until then. */
static void
clear(struct registry *r, uint32_t entry)
{
    registry_starts_clear(r, entry);
    registry_remotes_clear(r, entry);
    registry_proof_clear(r, entry);
    registry_model_clear(r, entry);
    registry_certificate_clear(r, entry);
    entries(r)[entry].name_len = 0;
}

/* Removes the owner, also for a connection that still uses the entry. */
static void
give_up(struct registry *r, uint32_t entry)
{
    struct registry_entry *e = entries(r) + entry;

    atomic_store(&e->owner, 0);
    clear(r, entry);
}

/* Entries that were never used are zero. So if a stray store made `used` too
 * small, this is noticed before an entry is overwritten. */
static void
count_used(struct registry *r)
{
    if (r->used > r->capacity)
        r->used = r->capacity;
    while (r->used < r->capacity &&
        (entries(r)[r->used].name_len != 0 || entries(r)[r->used].hash != 0))
        r->used++;
}

/*
 * Called after a process died under the lock, or a chain was damaged. An entry
 * is valid if it has a name, whatever operation was interrupted: an insertion
 * writes the name, then name_len, then the chain, and a removal clears name_len
 * last. A damaged chain may have led to two entries with the same name; the one
 * with the newer claim stays.
 */
void
registry_rebuild(struct registry *r)
{
    count_used(r);
    memset(heads(r), 0, r->heads * sizeof(uint32_t));
    for (uint32_t i = 0; i < used(r); i++) {
        struct registry_entry *e = entries(r) + i;
        if (e->name_len == 0)
            continue;
        if (!registry_intact(r, e)) {
            give_up(r, i);
            continue;
        }
        uint32_t *head = &heads(r)[e->hash & (r->heads - 1)];
        uint32_t *p = head;
        while (*p != 0) {
            struct registry_entry *o = entries(r) + (*p - 1);
            if (o->name_len == e->name_len &&
                memcmp(o->name, e->name, e->name_len) == 0)
                break;
            p = &o->next;
        }
        if (*p != 0 && entries(r)[*p - 1].generation > e->generation) {
            give_up(r, i);
            continue;
        }
        if (*p != 0) {
            uint32_t older = *p - 1;
            *p = entries(r)[older].next;
            give_up(r, older);
        }
        e->next = *head;
        *head = i + 1;
    }
    atomic_fetch_add(&r->rebuilt, 1);
}

bool
registry_lock_within(struct registry *r, long ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    int rc = pthread_mutex_clocklock(&r->lock, CLOCK_MONOTONIC, &until);
    if (rc == EOWNERDEAD) {
        registry_rebuild(r);
        pthread_mutex_consistent(&r->lock);
        return true;
    }
    ensure(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

bool
registry_lock(struct registry *r)
{
    return registry_lock_within(r, REGISTRY_LOCK_MS);
}

bool
registry_try_lock(struct registry *r)
{
    return registry_lock_within(r, REGISTRY_TRY_MS);
}

void
registry_unlock(struct registry *r)
{
    pthread_mutex_unlock(&r->lock);
}

enum walked { WALK_FOUND, WALK_END, WALK_SPOILED };

/*
 * Walks along a chain to the entry of a name, or with name NULL to entry *at.
 * *link: the word that refers to it.
 *
 * A chain is walked to its end, however long it is. Every entry of it is
 * checked to belong to it, so only a loop could make the walk endless; a mark
 * that moves up to the current entry at steps 1, 2, 4, 8 ... meets the walk
 * again in a loop (Brent), after at most three times the loop's length.
 */
static enum walked
walk(struct registry *r, uint32_t hash, const char *name, size_t len,
    uint32_t *at, uint32_t **link)
{
    uint32_t mark = REGISTRY_NONE, steps = 0, next_mark = 1;

    *link = &heads(r)[hash & (r->heads - 1)];
    for (; **link != 0; steps++) {
        uint32_t i = **link - 1;
        registry_steps++;
        if (i >= used(r) || i == mark)
            return WALK_SPOILED;
        if (steps == next_mark) {
            mark = i;
            next_mark *= 2;
        }
        struct registry_entry *e = entries(r) + i;
        if (name == NULL ? i == *at
                         : e->hash == hash && e->name_len == len &&
                    memcmp(e->name, name, len) == 0) {
            *at = i;
            return WALK_FOUND;
        }
        if (((e->hash ^ hash) & (r->heads - 1)) != 0 || !registry_intact(r, e))
            return WALK_SPOILED; /* the entry belongs to another chain or to
                                  * none */
        *link = &e->next;
    }
    return WALK_END;
}

/* Returns WALK_SPOILED if the chain is damaged again after it was rebuilt. Then
 * it is not known whether the name exists, so it must not be added. */
static enum walked
find(struct registry *r, const char *name, size_t len, uint32_t hash,
    uint32_t *entry)
{
    uint32_t   *link;
    enum walked w = walk(r, hash, name, len, entry, &link);

    if (w != WALK_SPOILED)
        return w;
    registry_rebuild(r);
    return walk(r, hash, name, len, entry, &link);
}

static void
unlink_entry(struct registry *r, uint32_t entry)
{
    struct registry_entry *e = entries(r) + entry;
    uint32_t              *link;

    if (walk(r, e->hash, NULL, 0, &entry, &link) == WALK_FOUND)
        *link = e->next;
    else
        registry_rebuild(r); /* the rebuild removes the damaged entry */
}

/*
 * The seconds for which an entry was absent; -1 if it must not be forgotten.
 * That is so if it has an owner, or if a former owner may not have noticed yet
 * that it was replaced, and may still use the name; such a connection is closed
 * well within FORGET_AFTER_S. An entry that had only one connection, which has
 * released it, has no former owner. If that connection never sent a
 * BootNotification either, the entry probably does not belong to a charge
 * point, and is forgotten at once.
 */
static int64_t
forgettable(struct registry_entry *e, uint32_t now)
{
    /* Modulo 2^32: if the clock was set back, an entry that was seen in the
     * future counts as absent for long. */
    uint32_t absent = now - e->last_seen;

    if (registry_owner(e) != 0)
        return -1;
    if (absent >= FORGET_AFTER_S ||
        (e->claims == 1 && e->closed_at != 0 && e->booted_at == 0))
        return absent;
    return -1;
}

/* Makes room by forgetting an entry: the one that was absent longest among at
 * least FORGET_SAMPLE. Only claims make an owner, under the lock, so an entry
 * without an owner stays without one here. */
static uint32_t
forget(struct registry *r)
{
    uint32_t best = REGISTRY_NONE, now = (uint32_t)(clock_wall_ms() / 1000);
    int64_t  best_absent = -1;

    for (uint32_t looked = 0; looked < r->capacity && looked < FORGET_LOOKS;
         looked++) {
        uint32_t               i = r->hand % r->capacity;
        struct registry_entry *e = entries(r) + i;
        r->hand = (i + 1) % r->capacity;
        registry_steps++;
        if (e->name_len == 0)
            return i; /* a process that died under the lock has left it free */
        int64_t absent = forgettable(e, now);
        if (absent > best_absent) {
            best = i;
            best_absent = absent;
        }
        if (looked >= FORGET_SAMPLE && best != REGISTRY_NONE)
            break;
    }
    if (best == REGISTRY_NONE)
        return best;
    unlink_entry(r, best);
    clear(r, best);
    atomic_fetch_add(&r->forgotten, 1);
    return best;
}

static uint32_t
add(struct registry *r, const char *name, size_t len, uint32_t hash)
{
    count_used(r);
    uint32_t i = r->used < r->capacity ? r->used : forget(r);
    if (i == REGISTRY_NONE)
        return i;
    struct registry_entry *e = entries(r) + i;
    memset(e, 0, sizeof *e);
    memcpy(e->name, name, len);
    e->hash = hash;
    atomic_signal_fence(memory_order_seq_cst);
    e->name_len = (uint8_t)len;
    if (i == r->used)
        r->used++;
    uint32_t *head = &heads(r)[hash & (r->heads - 1)];
    e->next = *head;
    atomic_signal_fence(memory_order_seq_cst);
    *head = i + 1;
    return i;
}

enum registry_result
registry_find_or_add(struct registry *r, const char *name, size_t len,
    bool may_add, uint32_t *entry)
{
    ensure(len > 0 && len <= IDENTITY_MAX);
    uint32_t hash = hash_of(r, name, len);
    *entry = REGISTRY_NONE;
    switch (find(r, name, len, hash, entry)) {
    case WALK_FOUND:
        return REGISTRY_OK;
    case WALK_SPOILED:
        return REGISTRY_BUSY;
    case WALK_END:
        break;
    }
    if (!may_add)
        return REGISTRY_UNKNOWN;
    *entry = add(r, name, len, hash);
    return *entry != REGISTRY_NONE ? REGISTRY_OK : REGISTRY_FULL;
}

static enum registry_result
look_up(struct registry *r, const char *name, size_t len, bool may_add, long ms,
    uint32_t *entry)
{
    *entry = REGISTRY_NONE;
    if (len == 0 || len > IDENTITY_MAX)
        return REGISTRY_UNKNOWN;
    if (!registry_lock_within(r, ms))
        return REGISTRY_BUSY;
    enum registry_result result =
        registry_find_or_add(r, name, len, may_add, entry);
    registry_unlock(r);
    return result;
}

uint32_t
registry_find(struct registry *r, const char *name, size_t len, bool may_add)
{
    uint32_t i;

    return look_up(r, name, len, may_add, REGISTRY_LOCK_MS, &i) == REGISTRY_OK
        ? i
        : REGISTRY_NONE;
}

enum registry_result
registry_look_up(struct registry *r, const char *name, size_t len, bool may_add,
    uint32_t *entry)
{
    return look_up(r, name, len, may_add, REGISTRY_TRY_MS, entry);
}

uint32_t
registry_used(struct registry *r)
{
    return used(r);
}

/* If an entry is forgotten and reused during the walk, the walk may enter
 * another chain; then it begins again. */
uint32_t
registry_peek(struct registry *r, const char *name, size_t len)
{
    if (len == 0 || len > IDENTITY_MAX)
        return REGISTRY_NONE;
    uint32_t hash = hash_of(r, name, len),
             chain = hash & (registry_heads(r) - 1);
    for (int tries = 0; tries < PEEK_TRIES; tries++) {
        uint32_t next = atomic_load_explicit(
            (_Atomic uint32_t *)&heads(r)[chain], memory_order_acquire);
        unsigned steps = 0;
        while (next != 0 && next <= used(r) && steps++ < LOOK_UP_STEPS) {
            struct registry_entry e;
            memcpy(&e, registry_at(r, next - 1), sizeof e);
            if (e.hash == hash && e.name_len == len &&
                memcmp(e.name, name, len) == 0)
                return next - 1;
            if ((e.hash & (registry_heads(r) - 1)) != chain)
                break;
            next = e.next;
        }
        if (next == 0)
            break;
    }
    return REGISTRY_NONE;
}
