/*
 * registry_remotes: the commands that asked an identity for a transaction, in
 * shared memory.
 *
 * A command that starts a transaction remotely has a key that comes back in the
 * transaction's first message: the remoteStartId of 2.x, or the token of 1.6.
 * From that message on the record of the command also holds the hash of the
 * transaction id, so that the command is found for each later event of the
 * transaction.
 *
 * The REGISTRY_REMOTES newest commands of an identity are kept. The table
 * occupies no memory for identities that got no such command.
 *
 * Written by the owner of the entry, without a lock. A record that was written
 * by two processes, or by one that died in between, has a wrong checksum and
 * counts as empty.
 */
#ifndef COMMON_REGISTRY_REMOTES_H
#define COMMON_REGISTRY_REMOTES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct registry;

#define REGISTRY_REMOTES 4
#define REGISTRY_COMMAND_MAX 64 /* bytes of a commandId */

struct registry_remote {
    uint64_t key;
    uint64_t sent_ms;     /* wall clock; 0: not known */
    uint64_t transaction; /* hash of the transaction id; 0: none yet */
    uint32_t connector;   /* the connector that the command asked for; 0: any */
    uint32_t len;         /* bytes of `command` */
    char     command[REGISTRY_COMMAND_MAX];
};

struct registry_remotes {
    struct {
        _Atomic uint64_t       check; /* 0: the place is free */
        struct registry_remote is;
    } of[REGISTRY_REMOTES];
};

/* True if the identity had such a command. Cheap. */
bool registry_remotes_any(struct registry *r, uint32_t entry);

/* Records a command that is sent, or found in the journal. A transaction that
 * is recorded for it already stays. */
void registry_remote_put(
    struct registry *r, uint32_t entry, const struct registry_remote *is);

/* Forgets a command that had no effect. */
void registry_remote_drop(
    struct registry *r, uint32_t entry, const char *command, size_t len);

/* Finds the newest command with this key, sent at `since` or later, that asked
 * for this connector (0: unknown) or for any, and that has no transaction or
 * this one. Records the transaction for it, and copies it to *out. False if
 * there is none. */
bool registry_remote_begin(struct registry *r, uint32_t entry, uint64_t key,
    uint32_t connector, uint64_t since, uint64_t transaction,
    struct registry_remote *out);

/* Copies the command of a transaction that has begun to *out; false if there is
 * none. */
bool registry_remote_find(struct registry *r, uint32_t entry,
    uint64_t transaction, struct registry_remote *out);

/* Called when the entry is given to another identity. */
void registry_remotes_clear(struct registry *r, uint32_t entry);

#endif
