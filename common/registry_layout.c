/* registry_layout: the places of the registry's tables in memory. See
 * registry_layout.h.
 */
#include "registry_layout.h"

#include "ensure.h"
#include "registry_blocks.h"

struct layout {
    uint32_t capacity, heads;
    size_t   at[REGISTRY_TABLES + 1]; /* offsets; the last one is the size */
};

/* Bytes of a row; 0 for a table without a row for each entry. */
static const size_t row_size[REGISTRY_TABLES] = {
    [REGISTRY_CERTIFICATES] = sizeof(uint32_t),
    [REGISTRY_ENTRIES] = sizeof(struct registry_entry),
    [REGISTRY_NEAR_STARTS] = sizeof(struct registry_starts),
    [REGISTRY_PROOFS] = sizeof(struct registry_proof),
    [REGISTRY_START_ANSWERS] = sizeof(struct registry_answers),
    [REGISTRY_REMOTE_STARTS] = sizeof(struct registry_remotes),
    [REGISTRY_MODEL_NUMBERS] = sizeof(uint16_t)};

static const struct registry *known; /* the registry to which known_layout
                                        belongs */
static struct layout known_layout;

static size_t
round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

uint32_t
registry_heads_for(uint32_t capacity)
{
    uint32_t n = 64;

    while (n < capacity / 2)
        n *= 2;
    return n;
}

static size_t
table_size(const struct layout *l, enum registry_table t)
{
    size_t pages = l->capacity / REGISTRY_PAGE_BLOCKS + 1;

    switch (t) {
    case REGISTRY_HEADS:
        return l->heads * sizeof(uint32_t);
    case REGISTRY_REMOTES_USED:
        return l->capacity / 8 + 8;
    case REGISTRY_MODEL_ROWS:
        return REGISTRY_MODELS * sizeof(struct registry_model);
    case REGISTRY_BLOCKS_USED:
        return (pages + 2) * sizeof(uint32_t);
    case REGISTRY_BLOCK_PAGES:
        return pages * REGISTRY_PAGE;
    case REGISTRY_BLOCK_TEXTS:
        return pages * REGISTRY_PAGE_BLOCKS * REGISTRY_PAGE;
    default:
        return l->capacity * row_size[t];
    }
}

static struct layout
layout_for(uint32_t capacity, uint32_t heads)
{
    struct layout l = {.capacity = capacity, .heads = heads};

    l.at[0] = round_up(sizeof(struct registry), 64);
    for (unsigned t = 0; t < REGISTRY_TABLES; t++)
        l.at[t + 1] = round_up(l.at[t] + table_size(&l, t),
            t + 1 == REGISTRY_BLOCK_PAGES ? REGISTRY_PAGE : 64);
    return l;
}

void
registry_attach(const struct registry *r, uint32_t capacity)
{
    known = r;
    known_layout = layout_for(capacity, registry_heads_for(capacity));
}

size_t
registry_size(uint32_t capacity)
{
    return layout_for(capacity, registry_heads_for(capacity))
        .at[REGISTRY_TABLES];
}

uint32_t
registry_capacity(const struct registry *r)
{
    return r == known ? known_layout.capacity : r->capacity;
}

uint32_t
registry_heads(const struct registry *r)
{
    return r == known ? known_layout.heads : r->heads;
}

void *
registry_table(struct registry *r, enum registry_table t)
{
    if (r == known)
        return (char *)r + known_layout.at[t];
    return (char *)r + layout_for(r->capacity, r->heads).at[t];
}

static __attribute__((noinline, cold)) void *
row_of_another(struct registry *r, enum registry_table t, uint32_t entry)
{
    ensure(entry < r->capacity);
    return (char *)registry_table(r, t) + entry * row_size[t];
}

/* Called several times for each message, so it is inlined. */
void *
registry_row(struct registry *r, enum registry_table t, uint32_t entry)
{
    if (r != known)
        return row_of_another(r, t, entry);
    ensure(entry < known_layout.capacity);
    return (char *)r + known_layout.at[t] + entry * row_size[t];
}

struct registry_entry *
registry_at(struct registry *r, uint32_t entry)
{
    return registry_row(r, REGISTRY_ENTRIES, entry);
}
