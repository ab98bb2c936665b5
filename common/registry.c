/* registry: who holds which charge point, in shared memory. See registry.h. */
#include "registry.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "clock.h"
#include "ensure.h"

/* When every entry is in use, at least this many are looked at for the one
 * that was absent longest. */
#define FORGET_SAMPLE 64
#define FORGET_AFTER_S 60 /* more than the master lets a worker stand still */

static uint32_t
heads_for(uint32_t capacity)
{
    uint32_t n = 64;

    while (n < capacity)
        n *= 2;
    return n;
}

static size_t
round64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

static uint32_t *
heads(struct registry *r)
{
    return (uint32_t *)((char *)r + round64(sizeof *r));
}

static struct registry_entry *
entries(struct registry *r)
{
    return (struct registry_entry *)((char *)heads(r) +
        round64(r->heads * sizeof(uint32_t)));
}

static struct registry_starts *
starts(struct registry *r, uint32_t entry)
{
    return (struct registry_starts *)(entries(r) + r->capacity) + entry;
}

static struct registry_proof *
proof_of(struct registry *r, uint32_t entry)
{
    ensure(entry < r->capacity);
    return (struct registry_proof *)starts(r, r->capacity) + entry;
}

size_t
registry_size(uint32_t capacity)
{
    return round64(sizeof(struct registry)) +
        round64(heads_for(capacity) * sizeof(uint32_t)) +
        (size_t)capacity *
        (sizeof(struct registry_entry) + sizeof(struct registry_starts) +
            sizeof(struct registry_proof));
}

/* FNV-1a with a final mix. */
uint64_t
registry_hash(const void *p, size_t n, uint64_t seed)
{
    const unsigned char *s = p;
    uint64_t             h = UINT64_C(14695981039346656037) ^ seed;

    for (size_t i = 0; i < n; i++)
        h = (h ^ s[i]) * UINT64_C(1099511628211);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

void
registry_init(struct registry *r, uint32_t capacity)
{
    pthread_mutexattr_t a;

    ensure(getrandom(&r->seed, sizeof r->seed, 0) == sizeof r->seed);
    r->capacity = capacity;
    r->heads = heads_for(capacity);
    r->used = 0;
    r->hand = 0;
    /* Fresh memory is zero: chains are stored as entry + 1. */
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    ensure(pthread_mutex_init(&r->lock, &a) == 0);
    pthread_mutexattr_destroy(&a);
}

struct registry_entry *
registry_at(struct registry *r, uint32_t entry)
{
    ensure(entry < r->capacity);
    return entries(r) + entry;
}

/*
 * Somebody died inside the lock. Whatever it was doing, an entry counts if
 * it has a name: the name is written before name_len and the chain after it,
 * and forgetting clears name_len last.
 */
static void
rebuild(struct registry *r)
{
    memset(heads(r), 0, r->heads * sizeof(uint32_t));
    for (uint32_t i = 0; i < r->used; i++) {
        struct registry_entry *e = entries(r) + i;
        if (e->name_len == 0)
            continue;
        uint32_t *head = &heads(r)[e->hash & (r->heads - 1)];
        e->next = *head;
        *head = i + 1;
    }
    atomic_fetch_add(&r->rebuilt, 1);
}

static bool
lock(struct registry *r)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += REGISTRY_LOCK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    int rc = pthread_mutex_clocklock(&r->lock, CLOCK_MONOTONIC, &until);
    if (rc == EOWNERDEAD) {
        rebuild(r);
        pthread_mutex_consistent(&r->lock);
        return true;
    }
    ensure(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

static void
unlock(struct registry *r)
{
    pthread_mutex_unlock(&r->lock);
}

static uint32_t
find(struct registry *r, const char *name, size_t len, uint32_t hash)
{
    uint32_t i = heads(r)[hash & (r->heads - 1)];

    while (i != 0) {
        struct registry_entry *e = entries(r) + (i - 1);
        if (e->hash == hash && e->name_len == len &&
            memcmp(e->name, name, len) == 0)
            return i - 1;
        i = e->next;
    }
    return REGISTRY_NONE;
}

static void
unlink_entry(struct registry *r, uint32_t entry)
{
    struct registry_entry *e = entries(r) + entry;
    uint32_t              *p = &heads(r)[e->hash & (r->heads - 1)];

    while (*p != entry + 1) {
        ensure(*p != 0);
        p = &entries(r)[*p - 1].next;
    }
    *p = e->next;
}

/* Makes room: forgets the longest absent of at least FORGET_SAMPLE entries.
 * Only claims make an owner and they hold the lock, so an entry seen
 * without one stays so. Nobody who is gone for less than FORGET_AFTER_S: a
 * former owner may not have noticed yet that it was replaced, and still
 * looks at the name. */
static uint32_t
forget(struct registry *r)
{
    uint32_t best = REGISTRY_NONE, best_absent = FORGET_AFTER_S;
    uint32_t now = (uint32_t)(clock_wall_ms() / 1000);

    for (uint32_t looked = 0; looked < r->capacity; looked++) {
        uint32_t               i = r->hand;
        struct registry_entry *e = entries(r) + i;
        r->hand = (r->hand + 1) % r->capacity;
        if (e->name_len == 0)
            return i; /* a death inside the lock left it free */
        /* Modulo 2^32: who was seen in the future, before the clock was set
         * back, counts as long absent. */
        uint32_t absent = now - e->last_seen;
        if (atomic_load(&e->owner) == 0 && absent >= best_absent) {
            best = i;
            best_absent = absent;
        }
        if (looked >= FORGET_SAMPLE && best != REGISTRY_NONE)
            break;
    }
    if (best == REGISTRY_NONE)
        return best;
    unlink_entry(r, best);
    memset(starts(r, best), 0, sizeof(struct registry_starts));
    registry_proof_clear(r, best);
    entries(r)[best].name_len = 0;
    atomic_fetch_add(&r->forgotten, 1);
    return best;
}

static uint32_t
add(struct registry *r, const char *name, size_t len, uint32_t hash)
{
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

static uint32_t
find_or_add(struct registry *r, const char *name, size_t len, bool may_add)
{
    ensure(len > 0 && len <= REGISTRY_NAME_MAX);
    uint32_t hash = (uint32_t)registry_hash(name, len, r->seed);
    uint32_t i = find(r, name, len, hash);
    return i == REGISTRY_NONE && may_add ? add(r, name, len, hash) : i;
}

enum registry_result
registry_claim(struct registry *r, const char *name, size_t len, unsigned slot,
    uint32_t index, _Atomic uint64_t *sequence, const uint64_t addr[2],
    uint16_t port, struct registry_claim *out)
{
    if (!lock(r))
        return REGISTRY_BUSY;
    uint32_t i = find_or_add(r, name, len, true);
    if (i == REGISTRY_NONE) {
        unlock(r);
        return REGISTRY_FULL;
    }
    struct registry_entry *e = entries(r) + i;
    out->entry = i;
    out->former_generation = e->generation;
    out->former_addr[0] = e->addr[0];
    out->former_addr[1] = e->addr[1];
    out->former_port = e->port;
    /* Drawn inside the lock: the order of generations is that of claims. */
    out->generation = atomic_fetch_add(sequence, 1);
    out->self = cref_make(slot, index, out->generation);
    e->generation = out->generation;
    e->addr[0] = addr[0];
    e->addr[1] = addr[1];
    e->port = port;
    e->claims++;
    /* An exchange and no store: the former owner may be releasing. */
    out->former = atomic_exchange_explicit(&e->owner, out->self,
        memory_order_acq_rel);
    unlock(r);
    return REGISTRY_OK;
}

bool
registry_owns(struct registry *r, uint32_t entry, cref self)
{
    return atomic_load_explicit(&registry_at(r, entry)->owner,
               memory_order_acquire) == self;
}

bool
registry_release(struct registry *r, uint32_t entry, cref self)
{
    return atomic_compare_exchange_strong_explicit(
        &registry_at(r, entry)->owner, &self, 0, memory_order_acq_rel,
        memory_order_acquire);
}

uint32_t
registry_find(struct registry *r, const char *name, size_t len, bool may_add)
{
    if (len == 0 || len > REGISTRY_NAME_MAX || !lock(r))
        return REGISTRY_NONE;
    uint32_t i = find_or_add(r, name, len, may_add);
    unlock(r);
    return i;
}

uint32_t
registry_used(struct registry *r)
{
    return r->used;
}

bool
registry_copy(struct registry *r, uint32_t i, struct registry_entry *out)
{
    if (i >= r->used || !lock(r))
        return false;
    *out = *registry_at(r, i);
    unlock(r);
    return out->name_len > 0;
}

#define START_DRAFT (UINT64_C(1) << 31) /* the sign of the id */

/* The place of a fingerprint, REGISTRY_STARTS if it has none. */
static int
start_place(struct registry_starts *s, const uint64_t fp[2])
{
    int i = 0;

    while (i < REGISTRY_STARTS && (s->word[i][1] == 0 ||
        s->word[i][0] != fp[0] || s->word[i][1] >> 32 != fp[1] >> 32))
        i++;
    return i;
}

static bool
start_find(struct registry *r, uint32_t entry, const uint64_t fp[2],
    uint64_t draft, int32_t *transaction_id)
{
    struct registry_starts *s = starts(r, entry);
    int                     i = start_place(s, fp);

    if (i == REGISTRY_STARTS)
        return false;
    uint64_t second = s->word[i][1];
    if (second == 0 || (second & START_DRAFT) != draft)
        return false;
    *transaction_id = (int32_t)(uint32_t)(second & ~START_DRAFT);
    return true;
}

static void
start_put(struct registry *r, uint32_t entry, const uint64_t fp[2],
    uint32_t id)
{
    struct registry_starts *s = starts(r, entry);
    int                     i = start_place(s, fp);

    if (i == REGISTRY_STARTS)
        i--; /* the oldest goes */
    for (; i > 0; i--) {
        s->word[i][1] = 0;
        s->word[i][0] = s->word[i - 1][0];
        s->word[i][1] = s->word[i - 1][1];
    }
    s->word[0][1] = 0;
    s->word[0][0] = fp[0];
    s->word[0][1] = (fp[1] >> 32) << 32 | id;
}

bool
registry_start_find(struct registry *r, uint32_t entry, const uint64_t fp[2],
    int32_t *transaction_id)
{
    return start_find(r, entry, fp, 0, transaction_id);
}

bool
registry_start_drafted(struct registry *r, uint32_t entry,
    const uint64_t fp[2], int32_t *transaction_id)
{
    return start_find(r, entry, fp, START_DRAFT, transaction_id);
}

void
registry_start_put(struct registry *r, uint32_t entry, const uint64_t fp[2],
    int32_t transaction_id)
{
    start_put(r, entry, fp, (uint32_t)transaction_id);
}

void
registry_start_draft(struct registry *r, uint32_t entry, const uint64_t fp[2],
    int32_t transaction_id)
{
    start_put(r, entry, fp, (uint32_t)transaction_id | START_DRAFT);
}

void
registry_start_recover(struct registry *r, uint32_t entry,
    const uint64_t fp[2], int32_t transaction_id, bool may_add)
{
    struct registry_starts *s = starts(r, entry);
    uint64_t                second = (fp[1] >> 32) << 32 | (uint32_t)transaction_id;

    if (!lock(r))
        return;
    int i = start_place(s, fp);
    if (i < REGISTRY_STARTS) {
        s->word[i][1] = second;
    } else if (may_add) {
        i = 0;
        while (i < REGISTRY_STARTS &&
            (uint32_t)(s->word[i][1] & ~START_DRAFT) > (uint32_t)transaction_id)
            i++;
        for (int k = REGISTRY_STARTS - 1; k > i; k--) {
            s->word[k][1] = 0;
            s->word[k][0] = s->word[k - 1][0];
            s->word[k][1] = s->word[k - 1][1];
        }
        if (i < REGISTRY_STARTS) {
            s->word[i][1] = 0;
            s->word[i][0] = fp[0];
            s->word[i][1] = second;
        }
    }
    unlock(r);
}

/* --- proofs ----------------------------------------------------------------- */

void
registry_proof_put(struct registry *r, uint32_t entry, const void *proof,
    uint32_t when)
{
    struct registry_proof *p = proof_of(r, entry);
    uint64_t               word[REGISTRY_PROOF / 8];

    memcpy(word, proof, sizeof word);
    p->when = 0;
    for (unsigned i = 0; i < REGISTRY_PROOF / 8; i++)
        p->word[i] = word[i];
    p->when = when;
}

bool
registry_proof_get(struct registry *r, uint32_t entry, void *proof,
    uint32_t *when)
{
    struct registry_proof *p = proof_of(r, entry);
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
    struct registry_proof *p = proof_of(r, entry);

    /* Reading alone takes no memory where none was ever put. */
    if (p->when != 0)
        p->when = 0;
}
