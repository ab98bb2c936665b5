/* registry_starts_tidy: releases the blocks of entries that are quiet. See
 * registry_starts.h. */
#include "registry_places.h"

/* The rank of a start; the highest ranks are kept longest: starts that are not
 * decided, then the newest. */
static uint64_t
rank(const struct places *t, int i)
{
    enum form f = places_form(places_words(t, i)[1]);

    return places_known(f) ? places_number(places_words(t, i)[2])
        : f == FORM_ASKED || places_draft(f) ? UINT64_MAX
                                             : 0;
}

/* Moves the newest starts to the near table. The first place of the block
 * is used as the last near place, so one store restores that. */
static void
reduce(struct places *t)
{
    _Atomic uint64_t *last = t->near->word[REGISTRY_STARTS_NEAR - 1];

    while (!places_free(t, REGISTRY_STARTS_NEAR)) {
        int worst = 0;
        for (int i = 1; i < places_count(t) && !places_free(t, i); i++)
            if (rank(t, i) < rank(t, worst))
                worst = i;
        places_erase(t, worst);
    }
    last[0] = t->far->word[0][0];
    last[2] = t->far->word[0][2];
    last[1] = t->far->word[0][1];
    registry_block_give(t->r, t->block);
}

/* The number of the newest start. */
static uint64_t
newest_of(const struct places *t)
{
    uint64_t newest = 1;

    for (int i = 0; i < places_count(t) && !places_free(t, i); i++)
        if (places_number(places_words(t, i)[2]) > newest)
            newest = places_number(places_words(t, i)[2]);
    return newest;
}

/* True if nothing was written to the block for that long. */
static bool
is_old(struct registry_block *b, uint64_t newest, uint32_t now, uint32_t window)
{
    if (b->newest == newest)
        return now - b->since >= window;
    b->since = now;
    b->newest = newest;
    return false;
}

/* If the entry has no owner, the lock prevents a claim. */
static void
tidy(struct registry *r, uint32_t block, unsigned slot, bool mine, uint32_t now,
    uint32_t window)
{
    struct registry_block *b = registry_block_at(r, block);
    uint32_t               entry = b->entry - 1;

    if (entry >= registry_capacity(r)) {
        if (mine && is_old(b, 1, now, window))
            registry_block_give(r, block);
        return;
    }
    _Atomic cref *owner = &registry_at(r, entry)->owner;
    bool          owned = *owner != 0;
    if (owned ? cref_slot(*owner) != slot : !mine)
        return;
    struct places t = places_of(r, entry);
    bool          used = t.far == b;
    if (!is_old(b, used ? newest_of(&t) : 1, now, window) ||
        (!owned && !registry_try_lock(r)))
        return;
    t = places_of(r, entry);
    if (!used)
        registry_block_give(r, block);
    else if (t.far == b && (owned || *owner == 0))
        reduce(&t);
    if (!owned)
        registry_unlock(r);
}

void
registry_starts_tidy(struct registry *r, uint32_t page, uint32_t end,
    unsigned slot, unsigned slots, uint32_t now, uint32_t window)
{
    for (; page < end; page++) {
        uint32_t used = registry_block_used(r, page);
        for (unsigned i = 0; i < REGISTRY_PAGE_BLOCKS; i++)
            if (used >> i & 1)
                tidy(r, page * REGISTRY_PAGE_BLOCKS + i, slot,
                    page % slots == slot, now, window);
    }
}

uint32_t
registry_starts_pages(struct registry *r)
{
    return registry_block_pages(r);
}
