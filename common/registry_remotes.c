/* registry_remotes: the commands that asked an identity for a transaction. See
 * registry_remotes.h. */
#include "registry_remotes.h"

#include <string.h>

#include "ensure.h"
#include "hash.h"
#include "registry_layout.h"

/* The word in which bit_of(entry) is set if the table was used for it. */
static _Atomic uint64_t *
used_of(struct registry *r, uint32_t entry)
{
    ensure(entry < registry_capacity(r));
    return (_Atomic uint64_t *)registry_table(r, REGISTRY_REMOTES_USED) +
        entry / 64;
}

static uint64_t
bit_of(uint32_t entry)
{
    return UINT64_C(1) << entry % 64;
}

/* The bit is tested first, because reading the table would make the kernel
 * allocate its pages. */
bool
registry_remotes_any(struct registry *r, uint32_t entry)
{
    return *used_of(r, entry) & bit_of(entry);
}

static uint64_t
check_of(const struct registry_remote *is)
{
    uint64_t h = hash_sum(is, sizeof *is, 3);

    return h ? h : 1;
}

/* A copy of place i. False if it is free or damaged. */
static bool
get(struct registry *r, uint32_t entry, int i, struct registry_remote *out)
{
    if (!registry_remotes_any(r, entry))
        return false;
    struct registry_remotes *all = registry_remotes_at(r, entry);
    uint64_t                 check = all->of[i].check;
    if (check == 0)
        return false;
    memcpy(out, &all->of[i].is, sizeof *out);
    return check == check_of(out) && out->len <= REGISTRY_COMMAND_MAX;
}

static void
put(struct registry *r, uint32_t entry, int i, const struct registry_remote *is)
{
    struct registry_remotes *all = registry_remotes_at(r, entry);

    atomic_fetch_or(used_of(r, entry), bit_of(entry));
    all->of[i].check = 0;
    memcpy(&all->of[i].is, is, sizeof *is);
    all->of[i].check = check_of(is);
}

/* The place of a command; REGISTRY_REMOTES if it is not there. */
static int
place(struct registry *r, uint32_t entry, const char *command, size_t len,
    struct registry_remote *out)
{
    int i;

    for (i = 0; i < REGISTRY_REMOTES; i++)
        if (get(r, entry, i, out) && out->len == len &&
            memcmp(out->command, command, len) == 0)
            break;
    return i;
}

/* A free place, or that of the oldest command; REGISTRY_REMOTES if all are
 * newer. */
static int
make_place(struct registry *r, uint32_t entry, uint64_t sent_ms)
{
    struct registry_remote is;
    int                    at = REGISTRY_REMOTES;

    for (int i = 0; i < REGISTRY_REMOTES; i++) {
        if (!get(r, entry, i, &is))
            return i;
        if (is.sent_ms <= sent_ms) {
            sent_ms = is.sent_ms;
            at = i;
        }
    }
    return at;
}

void
registry_remote_put(
    struct registry *r, uint32_t entry, const struct registry_remote *is)
{
    struct registry_remote now = *is, former;
    int                    i = place(r, entry, is->command, is->len, &former);

    if (i < REGISTRY_REMOTES) {
        if (now.key == 0)
            now.key = former.key;
        if (now.transaction == 0)
            now.transaction = former.transaction;
        if (now.connector == 0)
            now.connector = former.connector;
        if (now.sent_ms < former.sent_ms)
            now.sent_ms = former.sent_ms;
    } else {
        i = make_place(r, entry, now.sent_ms);
    }
    if (i < REGISTRY_REMOTES)
        put(r, entry, i, &now);
}

void
registry_remote_drop(
    struct registry *r, uint32_t entry, const char *command, size_t len)
{
    struct registry_remote is;
    int                    i = place(r, entry, command, len, &is);

    if (i < REGISTRY_REMOTES && is.transaction == 0)
        registry_remotes_at(r, entry)->of[i].check = 0;
}

bool
registry_remote_begin(struct registry *r, uint32_t entry, uint64_t key,
    uint32_t connector, uint64_t since, uint64_t transaction,
    struct registry_remote *out)
{
    struct registry_remote is;
    int                    at = REGISTRY_REMOTES;

    for (int i = 0; i < REGISTRY_REMOTES; i++) {
        if (!get(r, entry, i, &is) || is.key != key || is.sent_ms < since ||
            (is.transaction != 0 && is.transaction != transaction) ||
            (is.connector != 0 && connector != 0 && is.connector != connector))
            continue;
        if (at == REGISTRY_REMOTES || is.sent_ms > out->sent_ms) {
            *out = is;
            at = i;
        }
    }
    if (at == REGISTRY_REMOTES)
        return false;
    if (out->transaction == 0) {
        out->transaction = transaction;
        put(r, entry, at, out);
    }
    return true;
}

bool
registry_remote_find(struct registry *r, uint32_t entry, uint64_t transaction,
    struct registry_remote *out)
{
    for (int i = 0; i < REGISTRY_REMOTES; i++)
        if (get(r, entry, i, out) && out->transaction == transaction)
            return true;
    return false;
}

void
registry_remotes_clear(struct registry *r, uint32_t entry)
{
    if (!registry_remotes_any(r, entry))
        return;
    for (int i = 0; i < REGISTRY_REMOTES; i++)
        registry_remotes_at(r, entry)->of[i].check = 0;
    atomic_fetch_and(used_of(r, entry), ~bit_of(entry));
}
