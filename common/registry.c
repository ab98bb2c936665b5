/* registry: which connection owns which identity, in shared memory. See
 * registry.h. */
#include "registry.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "ensure.h"

/* When every entry is in use, at least this many are looked at for the one
 * that was absent longest. */
#define FORGET_SAMPLE 64
/* ... and at most this many in one claim, so that a full table does not make
 * a handshake expensive. The next claim goes on behind them. */
#define FORGET_LOOKS 4096
#define FORGET_AFTER_S 60 /* more than the master lets a worker stand still */

uint64_t registry_steps;
#define COPY_TRIES 4       /* of a reader without the lock */
#define LOOK_UP_STEPS 4096 /* a chain that is longer does not end */

/* The geometry of the registry that this process, or its parent before the
 * fork, has made: what lies in shared memory any worker can write, and the
 * master must not follow it. */
static struct {
    const struct registry *of;
    uint32_t               capacity, heads;
} known;

static uint32_t
capacity_of(const struct registry *r)
{
    return r == known.of ? known.capacity : r->capacity;
}

static uint32_t
heads_of(const struct registry *r)
{
    return r == known.of ? known.heads : r->heads;
}

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

static _Atomic uint32_t *
certificates(struct registry *r)
{
    return (_Atomic uint32_t *)((char *)heads(r) +
        round64(heads_of(r) * sizeof(uint32_t)));
}

static struct registry_entry *
entries(struct registry *r)
{
    return (struct registry_entry *)((char *)certificates(r) +
        round64((size_t)capacity_of(r) * sizeof(uint32_t)));
}

static struct registry_starts *
starts(struct registry *r, uint32_t entry)
{
    return (struct registry_starts *)(entries(r) + capacity_of(r)) + entry;
}

static struct registry_proof *
proof_of(struct registry *r, uint32_t entry)
{
    ensure(entry < capacity_of(r));
    return (struct registry_proof *)starts(r, capacity_of(r)) + entry;
}

struct registry_starts *
registry_starts_at(struct registry *r, uint32_t entry)
{
    ensure(entry < capacity_of(r));
    return starts(r, entry);
}

static struct registry_answers *
answers(struct registry *r, uint32_t entry)
{
    return (struct registry_answers *)((struct registry_proof *)starts(
                                           r, capacity_of(r)) +
               capacity_of(r)) +
        entry;
}

struct registry_answers *
registry_answers_at(struct registry *r, uint32_t entry)
{
    ensure(entry < capacity_of(r));
    return answers(r, entry);
}

static struct registry_far_starts *
far_starts(struct registry *r, uint32_t entry)
{
    return (struct registry_far_starts *)answers(r, capacity_of(r)) + entry;
}

struct registry_far_starts *
registry_far_starts_at(struct registry *r, uint32_t entry)
{
    ensure(entry < capacity_of(r));
    return far_starts(r, entry);
}

static struct registry_remotes *
remotes(struct registry *r, uint32_t entry)
{
    return (struct registry_remotes *)far_starts(r, capacity_of(r)) + entry;
}

struct registry_remotes *
registry_remotes_at(struct registry *r, uint32_t entry)
{
    ensure(entry < capacity_of(r));
    return remotes(r, entry);
}

_Atomic uint64_t *
registry_remotes_used(struct registry *r, uint32_t entry)
{
    ensure(entry < capacity_of(r));
    return (_Atomic uint64_t *)remotes(r, capacity_of(r)) + entry / 64;
}

_Atomic uint16_t *
registry_model_number(struct registry *r, uint32_t entry)
{
    uint32_t n = capacity_of(r);

    ensure(entry < n);
    return (_Atomic uint16_t *)((char *)remotes(r, n) + round64(n / 8 + 8)) +
        entry;
}

struct registry_model *
registry_models_at(struct registry *r)
{
    uint32_t n = capacity_of(r);

    return (struct registry_model *)((char *)remotes(r, n) +
        round64(n / 8 + 8) + round64(n * sizeof(uint16_t)));
}

size_t
registry_size(uint32_t capacity)
{
    return round64(sizeof(struct registry)) +
        round64(heads_for(capacity) * sizeof(uint32_t)) +
        round64((size_t)capacity * sizeof(uint32_t)) +
        (size_t)capacity *
        (sizeof(struct registry_entry) + sizeof(struct registry_starts) +
            sizeof(struct registry_proof) + sizeof(struct registry_answers) +
            sizeof(struct registry_far_starts) +
            sizeof(struct registry_remotes)) +
        round64(capacity / 8 + 8) + round64(capacity * sizeof(uint16_t)) +
        REGISTRY_MODELS * sizeof(struct registry_model);
}

void
registry_attach(const struct registry *r, uint32_t capacity)
{
    known.of = r;
    known.capacity = capacity;
    known.heads = heads_for(capacity);
}

void
registry_init(struct registry *r, uint32_t capacity)
{
    pthread_mutexattr_t a;

    hash_key_draw(&r->key);
    r->capacity = capacity;
    r->heads = heads_for(capacity);
    registry_attach(r, capacity);
    r->used = 0;
    r->hand = 0;
    /* Fresh memory is zero: chains are stored as entry + 1. */
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    ensure(pthread_mutex_init(&r->lock, &a) == 0);
    pthread_mutexattr_destroy(&a);
}

static uint32_t
used(struct registry *r)
{
    uint32_t n = r->used, most = capacity_of(r);

    return n < most ? n : most;
}

static uint32_t
hash_of(struct registry *r, const char *name, size_t len)
{
    return (uint32_t)hash_keyed(&r->key, 0, name, len);
}

static bool
intact(struct registry *r, struct registry_entry *e)
{
    uint8_t len = e->name_len;

    return len > 0 && len <= IDENTITY_MAX &&
        e->hash == hash_of(r, e->name, len);
}

/* Claims make the word and the generation together, under the lock. */
static bool
plausible(cref owner, uint64_t generation)
{
    return owner == cref_make(cref_slot(owner), cref_index(owner), generation);
}

/* Under the lock, where no claim is half done: the owner. An owner word that
 * no claim can have made is removed; a worker that holds the connection then
 * sees that it was replaced. */
static cref
owner_of(struct registry_entry *e)
{
    cref owner = e->owner;

    if (owner != 0 && !plausible(owner, e->generation)) {
        atomic_compare_exchange_strong(&e->owner, &owner, 0);
        return e->owner;
    }
    return owner;
}

struct registry_entry *
registry_at(struct registry *r, uint32_t entry)
{
    ensure(entry < capacity_of(r));
    return entries(r) + entry;
}

/* The entry has no owner any more, also for the connection that still looks at
 * it. */
static void
give_up(struct registry *r, uint32_t entry)
{
    struct registry_entry *e = entries(r) + entry;

    atomic_store(&e->owner, 0);
    registry_starts_clear(r, entry);
    registry_remotes_clear(r, entry);
    registry_proof_clear(r, entry);
    registry_model_clear(r, entry);
    certificates(r)[entry] = 0;
    e->name_len = 0;
}

/* What was never used is zero; so a number that became too small is noticed
 * before it costs an entry. */
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
 * After a process died inside the lock, or a chain was damaged. Whatever the
 * operation was, an entry is valid if it has a name: an insertion writes the
 * name, then name_len, then the chain, and a removal clears name_len last. A
 * damaged chain may leave two entries with the same name; the one with the
 * newer claim stays.
 */
static void
rebuild(struct registry *r)
{
    count_used(r);
    memset(heads(r), 0, r->heads * sizeof(uint32_t));
    for (uint32_t i = 0; i < used(r); i++) {
        struct registry_entry *e = entries(r) + i;
        if (e->name_len == 0)
            continue;
        if (!intact(r, e)) {
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

static bool
lock_within(struct registry *r, long ms)
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
        rebuild(r);
        pthread_mutex_consistent(&r->lock);
        return true;
    }
    ensure(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

static bool
lock(struct registry *r)
{
    return lock_within(r, REGISTRY_LOCK_MS);
}

static void
unlock(struct registry *r)
{
    pthread_mutex_unlock(&r->lock);
}

bool
registry_lock(struct registry *r)
{
    return lock(r);
}

bool
registry_try_lock(struct registry *r)
{
    return lock_within(r, REGISTRY_TRY_MS);
}

void
registry_unlock(struct registry *r)
{
    unlock(r);
}

enum walked { WALK_FOUND, WALK_END, WALK_SPOILED };

/*
 * Along a chain to the entry of a name, or with name NULL to entry *at.
 * *link: the word that leads there.
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
        if (((e->hash ^ hash) & (r->heads - 1)) != 0 || !intact(r, e))
            return WALK_SPOILED; /* it belongs elsewhere, or nowhere */
        *link = &e->next;
    }
    return WALK_END;
}

/* WALK_SPOILED: the chain is spoiled again right after it was rebuilt, so
 * nothing is known about the name, and it must not be added. */
static enum walked
find(struct registry *r, const char *name, size_t len, uint32_t hash,
    uint32_t *entry)
{
    uint32_t   *link;
    enum walked w = walk(r, hash, name, len, entry, &link);

    if (w != WALK_SPOILED)
        return w;
    rebuild(r);
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
        rebuild(r); /* which gives it up if that was it */
}

/*
 * The seconds that an entry was absent, -1 if it must not be forgotten: it has
 * an owner, or a former owner may not have noticed yet that it was replaced,
 * and still looks at the name. Such a connection is closed well within
 * FORGET_AFTER_S. An entry that had one connection only, and that connection
 * released it, has no former owner; if it never sent a BootNotification, it
 * hardly belongs to a charge point, and is forgotten at once.
 */
static int64_t
forgettable(struct registry_entry *e, uint32_t now)
{
    /* Modulo 2^32: an entry that was seen in the future, before the clock was
     * set back, counts as long absent. */
    uint32_t absent = now - e->last_seen;

    if (owner_of(e) != 0)
        return -1;
    if (absent >= FORGET_AFTER_S ||
        (e->claims == 1 && e->closed_at != 0 && e->booted_at == 0))
        return absent;
    return -1;
}

/* Makes room: forgets the longest absent of at least FORGET_SAMPLE entries.
 * Only claims make an owner and they hold the lock, so an entry seen without
 * one stays so. */
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
            return i; /* a death inside the lock left it free */
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
    registry_starts_clear(r, best);
    registry_remotes_clear(r, best);
    registry_proof_clear(r, best);
    registry_model_clear(r, best);
    certificates(r)[best] = 0;
    entries(r)[best].name_len = 0;
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

static enum registry_result
find_or_add(struct registry *r, const char *name, size_t len, bool may_add,
    uint32_t *entry)
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

enum registry_result
registry_claim(struct registry *r, const char *name, size_t len, unsigned slot,
    uint32_t index, _Atomic uint64_t *sequence, const uint64_t addr[2],
    uint16_t port, struct registry_claim *out)
{
    if (!lock_within(r, REGISTRY_TRY_MS))
        return REGISTRY_BUSY;
    uint32_t             i;
    enum registry_result result = find_or_add(r, name, len, true, &i);
    if (result != REGISTRY_OK) {
        unlock(r);
        return result;
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
    out->former =
        atomic_exchange_explicit(&e->owner, out->self, memory_order_acq_rel);
    if (!plausible(out->former, out->former_generation))
        out->former = 0; /* no claim has made that word */
    unlock(r);
    return REGISTRY_OK;
}

/* By compare-and-swap, as a release: a claim that comes in between wins, since
 * it exchanges the word. The generation belongs to the owner that is replaced,
 * so it does not change as long as the swap succeeds. */
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
    return registry_owns(r, entry, self) && intact(r, registry_at(r, entry));
}

void
registry_mend(struct registry *r, uint32_t entry)
{
    struct registry_entry *e = registry_at(r, entry);
    cref                   owner = e->owner;

    if (intact(r, e) && (owner == 0 || plausible(owner, e->generation)))
        return;
    if (!lock(r))
        return; /* the next look-up finds it as well */
    if (e->name_len != 0 && !intact(r, e))
        rebuild(r);
    else
        owner_of(e);
    unlock(r);
}

const char registry_nobody[] = "?";

const char *
registry_name(struct registry *r, uint32_t entry, size_t *len)
{
    struct registry_entry *e = registry_at(r, entry);

    *len = e->name_len;
    if (*len > 0 && *len <= IDENTITY_MAX && intact(r, e))
        return e->name;
    *len = 1;
    return registry_nobody;
}

bool
registry_release(struct registry *r, uint32_t entry, cref self)
{
    return atomic_compare_exchange_strong_explicit(
        &registry_at(r, entry)->owner, &self, 0, memory_order_acq_rel,
        memory_order_acquire);
}

static enum registry_result
look_up(struct registry *r, const char *name, size_t len, bool may_add, long ms,
    uint32_t *entry)
{
    *entry = REGISTRY_NONE;
    if (len == 0 || len > IDENTITY_MAX)
        return REGISTRY_UNKNOWN;
    if (!lock_within(r, ms))
        return REGISTRY_BUSY;
    enum registry_result result = find_or_add(r, name, len, may_add, entry);
    unlock(r);
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

/* Entries are copied while their owners write them. A claim changes two words
 * one after the other: a copy from between is taken again. */
bool
registry_copy(struct registry *r, uint32_t i, struct registry_entry *out)
{
    if (i >= used(r))
        return false;
    for (int tries = 0; tries < COPY_TRIES; tries++) {
        memcpy(out, registry_at(r, i), sizeof *out);
        atomic_thread_fence(memory_order_acquire);
        if (!intact(r, out))
            return false;
        if (out->owner == 0 || plausible(out->owner, out->generation))
            return true;
    }
    out->owner = 0; /* no claim has made that word */
    return true;
}

/* A walk may be led into another chain by an entry that is forgotten and used
 * again meanwhile; then it begins again. */
uint32_t
registry_peek(struct registry *r, const char *name, size_t len)
{
    if (len == 0 || len > IDENTITY_MAX)
        return REGISTRY_NONE;
    uint32_t hash = hash_of(r, name, len), chain = hash & (heads_of(r) - 1);
    for (int tries = 0; tries < COPY_TRIES; tries++) {
        uint32_t next = atomic_load_explicit(
            (_Atomic uint32_t *)&heads(r)[chain], memory_order_acquire);
        unsigned steps = 0;
        while (next != 0 && next <= used(r) && steps++ < LOOK_UP_STEPS) {
            struct registry_entry e;
            memcpy(&e, registry_at(r, next - 1), sizeof e);
            if (e.hash == hash && e.name_len == len &&
                memcmp(e.name, name, len) == 0)
                return next - 1;
            if ((e.hash & (heads_of(r) - 1)) != chain)
                break;
            next = e.next;
        }
        if (next == 0)
            break;
    }
    return REGISTRY_NONE;
}

/* --- proofs -------------------------------------------------------------- */

void
registry_proof_put(
    struct registry *r, uint32_t entry, const void *proof, uint32_t when)
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
registry_proof_get(
    struct registry *r, uint32_t entry, void *proof, uint32_t *when)
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
    proof_of(r, entry)->when = 0;
}

void
registry_set_certificate(
    struct registry *r, uint32_t entry, unsigned profile, uint32_t end)
{
    ensure(entry < r->capacity);
    unsigned before = certificates(r)[entry] >> 30;

    certificates(r)[entry] = (before > profile ? before : profile) << 30 |
        (end & (REGISTRY_ENDS - 1));
}

void
registry_certificate(
    const struct registry *r, uint32_t entry, unsigned *profile, uint32_t *end)
{
    ensure(entry < capacity_of(r));
    uint32_t word = certificates((struct registry *)r)[entry];

    *profile = word >> 30;
    *end = word & (REGISTRY_ENDS - 1);
}
