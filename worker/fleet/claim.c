/* claim: one connection's claim. See claim.h. */
#include "fleet/claim.h"

#include <stdlib.h>

#include "base/self.h"
#include "fleet/redis.h"
#include "fleet/shards.h"

static struct claim *claims; /* by index of the connection */

bool
claim_table_open(uint32_t capacity)
{
    claims = calloc(capacity, sizeof *claims);
    return claims != NULL;
}

struct claim *
claim_place(const struct conn *c)
{
    return &claims[conn_index(c)];
}

struct claim *
claim_of(const struct conn *c)
{
    if (claims == NULL)
        return NULL;
    struct claim *claim = &claims[conn_index(c)];
    return claim->conn == c->self ? claim : NULL;
}

static bool
is_held(const struct claim *claim)
{
    return (claim->flags & CLAIM_HELD) &&
        claim->round == shards[claim->shard].round && redis_ready(claim->shard);
}

bool
claim_holds(const struct conn *c)
{
    const struct claim *claim = claim_of(c);

    return claim != NULL && is_held(claim);
}

bool
claim_is_settled(const struct claim *claim)
{
    return is_held(claim) && !(claim->flags & CLAIM_ASKED);
}

bool
claim_is_quiet(const struct conn *c)
{
    const struct claim *claim = claim_of(c);

    return claim == NULL ||
        (!(claim->flags & CLAIM_ASKED) && claim->order == NULL);
}

struct conn *
claim_find_conn(const char *identity, size_t len)
{
    uint32_t entry = registry_find(self.registry, identity, len, false);

    if (entry == REGISTRY_NONE)
        return NULL;
    cref name = registry_at(self.registry, entry)->owner;
    return name != 0 && cref_slot(name) == self.slot ? conn_find(name) : NULL;
}
