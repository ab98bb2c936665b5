/*
 * registry_names: the entries of the registry by name: chains by the hash of
 * the name, and the lock around them. Private to registry*.c; what others use
 * is declared in registry.h.
 *
 * A chain that leaves the table, does not end, or leads to an entry of another
 * chain is rebuilt from the entries. When all entries are in use, the one that
 * was absent longest is forgotten.
 */
#ifndef COMMON_REGISTRY_NAMES_H
#define COMMON_REGISTRY_NAMES_H

#include "registry.h"

/* Takes the lock. False if another process holds it for ms milliseconds. If a
 * process has died under the lock, the chains are rebuilt first. */
bool registry_lock_within(struct registry *r, long ms);

/* Finds an entry, or adds it if may_add is true. Under the lock. len: 1 to
   IDENTITY_MAX. REGISTRY_OK sets *entry. */
enum registry_result registry_find_or_add(struct registry *r, const char *name,
    size_t len, bool may_add, uint32_t *entry);

/* Under the lock: makes all chains again; removes entries whose name does not
 * match its hash, and the older one of two entries of the same name. */
void registry_rebuild(struct registry *r);

/* True if the name of the entry, which may be a copy, matches its hash. */
bool registry_intact(struct registry *r, struct registry_entry *e);

/* Claims make the owner word and the generation together, under the lock: false
 * if no claim can have made this one. */
bool registry_plausible(cref owner, uint64_t generation);

/* Under the lock, where no claim is half done: the owner. An owner word that
 * no claim can have made is removed; a worker that holds the connection then
 * sees that it was replaced. */
cref registry_owner(struct registry_entry *e);

#endif
