/*
 * registry: which connection owns which identity, in shared memory.
 *
 * One entry per identity, 128 bytes, kept while the charge point is away so
 * that an operator can ask about it. The entry's `owner` word decides which
 * connection serves the identity: it is the cref of that connection, 0
 * without one.
 *
 *   claim     under the lock: draws a generation, exchanges the word. The
 *             newest claim wins (promise P2); generations grow in the order
 *             of the claims.
 *   release   compare-and-swap of one's own cref to 0, without the lock: it
 *             can never touch a newer owner.
 *   owns      a load; each sweep asks it for every connection.
 *
 * The lock is a robust process-shared mutex around finding, inserting and
 * forgetting names; it is held for well under a microsecond. A process
 * killed inside leaves EOWNERDEAD to the next one, which rebuilds the chains
 * from the entries. A process stopped inside makes others give up after
 * REGISTRY_LOCK_MS, with REGISTRY_BUSY.
 *
 * A stray store of any process may hit the segment. The following damage is
 * detected. A chain that leaves the table or does not end is rebuilt. An entry
 * whose name does not match its hash is not used any more: its connection is
 * closed, and the charge point gets a new entry. An owner word that no claim
 * can have made is removed. The struct registry itself and its lock are not
 * protected.
 *
 * Entry fields other than owner and name are written by the owner only (by the
 * claimant before it publishes the word) and read by any process. They are for
 * display, and may be of different moments.
 */
#ifndef COMMON_REGISTRY_H
#define COMMON_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cref.h"
#include "hash.h"
#include "identity.h"
#include "registry_models.h"
#include "registry_proofs.h"
#include "registry_remotes.h"
#include "registry_starts.h"

/* The longest wait for the lock: of a handshake, which can try again later, and
 * of others. */
#define REGISTRY_TRY_MS 2
#define REGISTRY_LOCK_MS 100
#define REGISTRY_NONE UINT32_MAX

struct registry_entry {
    _Atomic cref     owner; /* 0: none. Release on claim, acquire on load */
    _Atomic uint64_t generation; /* generation of the last claim */
    _Atomic uint64_t addr[2]; /* address of the last connection: IPv6 or mapped
                                 IPv4 */
    _Atomic uint32_t since;   /* of the last claim, Unix seconds */
    _Atomic uint32_t last_seen;  /* last inbound bytes, Unix seconds */
    _Atomic uint32_t closed_at;  /* last end, Unix seconds; 0 never */
    _Atomic uint32_t refused_at; /* last refusal, Unix seconds; 0 never */
    _Atomic uint32_t claims;     /* connections so far */
    _Atomic uint32_t
        booted_at; /* last BootNotification, Unix seconds; 0 never */
    _Atomic uint32_t messages; /* messages from it on its last connection */
    uint32_t         hash;     /* hash of the name; lock */
    uint32_t         next;     /* next entry in its chain; lock */
    _Atomic uint32_t flip_at;  /* last takeover from another address, Unix
                                  seconds */
    _Atomic uint16_t port;
    _Atomic uint8_t  last_action;   /* enum action + 1; 0 none */
    _Atomic uint8_t  close_reason;  /* enum close_reason */
    _Atomic uint8_t  refuse_reason; /* enum refuse_reason */
    _Atomic uint8_t  protocol;      /* enum dialect_number */
    _Atomic uint8_t  flips;    /* takeovers from another address in a row */
    uint8_t          name_len; /* 0: free entry. Lock */
    char             name[IDENTITY_MAX];
};

_Static_assert(sizeof(struct registry_entry) == 128, "the registry's price");

struct registry {
    pthread_mutex_t lock;
    struct hash_key key;      /* key of the names' hash */
    uint32_t        capacity; /* entries */
    uint32_t        heads;    /* chains, a power of two */
    uint32_t        used;     /* entries ever used; lock */
    uint32_t        hand;     /* where the search for an entry to forget
                                 continues; lock */
    _Atomic uint64_t rebuilt; /* rebuilds after a process died while it held
                                 the lock */
    _Atomic uint64_t forgotten;
    /* The tables follow it: registry_layout.h. */
};

enum registry_result {
    REGISTRY_OK,
    REGISTRY_UNKNOWN, /* there is no entry with that name */
    REGISTRY_FULL,    /* every entry is in use, or was until a moment ago */
    REGISTRY_BUSY     /* unknown: another process holds the lock, or a chain was
                         overwritten again while it was rebuilt; a later try may
                         succeed */
};

struct registry_claim {
    uint32_t entry; /* index of the entry */
    uint64_t generation;
    cref     self;   /* the new owner word */
    cref     former; /* the replaced owner, 0 if none */
    uint64_t former_generation;
    uint64_t former_addr[2]; /* address of the former connection */
    uint16_t former_port;
};

/* The bytes that a registry of that many entries needs. registry_init() is
   called once, on memory that is zero. */
size_t registry_size(uint32_t capacity);
void   registry_init(struct registry *r, uint32_t capacity);

/* Called in a child of the process that made it, if the child has mapped it at
   another address. */
void registry_attach(const struct registry *r, uint32_t capacity);

/* entry: an index below the capacity. Entries never move. */
struct registry_entry *registry_at(struct registry *r, uint32_t entry);

/* Makes (slot, index) the owner of the identity. sequence: from which the
 * generation is drawn. addr, port: address of the new connection. *out is set
 * only with REGISTRY_OK; FULL and BUSY (after REGISTRY_TRY_MS) change nothing.
 */
enum registry_result registry_claim(struct registry *r, const char *name,
    size_t len, unsigned slot, uint32_t index, _Atomic uint64_t *sequence,
    const uint64_t addr[2], uint16_t port, struct registry_claim *out);

/* Makes another connection the owner in place of `from`, without a claim: the
 * generation stays. from: the current owner word, 0 for an entry that came from
 * another segment (registry_state.h). Returns the new owner word; 0 if `from`
 * is not the owner any more or the generation differs. */
cref registry_adopt(struct registry *r, uint32_t entry, uint64_t generation,
    cref from, unsigned slot, uint32_t index);

/* True if self is the owner. It is a single load, because it is called for each
   message. */
bool registry_owns(struct registry *r, uint32_t entry, cref self);
/* True if self is the owner, and the name of the entry still matches its
 * hash. */
bool registry_holds(struct registry *r, uint32_t entry, cref self);
/* Ends the ownership of self. True if self was still the owner. */
bool registry_release(struct registry *r, uint32_t entry, cref self);
/* Called by a worker that is not the owner any more: clears an owner word that
 * no claim can have made, and removes an entry with a damaged name.
 */
void registry_mend(struct registry *r, uint32_t entry);

/* The name of an entry, which is not NUL-terminated; registry_no_name ("?") if
 * it is free or damaged. It lies in shared memory, and is stable only while the
 * caller's connection owns the entry or the caller has the lock. */
extern const char registry_no_name[];
const char *registry_name(struct registry *r, uint32_t entry, size_t *len);

/* The entry of a name, REGISTRY_NONE if there is none. With add, an unknown
 * name gets an entry without owner. Waits for the lock for at most
 * REGISTRY_TRY_MS. */
enum registry_result registry_look_up(struct registry *r, const char *name,
    size_t len, bool add, uint32_t *entry);
/* The same for callers that may wait for REGISTRY_LOCK_MS, and that treat a
 * busy registry like an unknown name. */
uint32_t registry_find(
    struct registry *r, const char *name, size_t len, bool add);

/* The number of entries that this process has visited in all its look-ups,
 * which measures their cost. */
extern uint64_t registry_steps;

/* The functions below take no lock. The master and the admin process use only
 * these, because an attacker in a worker could make a process that takes the
 * lock access any address. */

/* The entry of a name, REGISTRY_NONE if unknown; while the chains are being
 * rebuilt, a name that is known may be missed. */
uint32_t registry_peek(struct registry *r, const char *name, size_t len);
/* Copies entry i; false if it is free. To list all entries, i runs from 0 to
 * registry_used(). */
bool registry_copy(struct registry *r, uint32_t i, struct registry_entry *out);
uint32_t registry_used(struct registry *r);

/* Takes the lock around names, which also protects other tables that several
 * processes write. False if it is not free within REGISTRY_LOCK_MS, or
 * REGISTRY_TRY_MS. */
bool registry_lock(struct registry *r);
bool registry_try_lock(struct registry *r);
void registry_unlock(struct registry *r);

#endif
