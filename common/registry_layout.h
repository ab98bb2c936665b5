/*
 * registry_layout: where the tables of the registry lie in shared memory.
 * Private to registry*.c.
 *
 * The tables follow struct registry, one behind the other, each with a row for
 * each entry of the registry unless another size is given:
 *
 *     heads          chains of entries, by the hash of the name; their number
 *                    is a power of two
 *     certificates   a word: the highest security profile (2 bits) and the end
 *                    of the last certificate
 *     entries, starts, proofs, answers, remotes
 *     blocks_used, block_pages, block_texts
 *                    see registry_blocks.h; as many blocks as entries. The two
 *                    latter begin at a page
 *     remotes_used   a bit for each entry
 *     model_numbers  the row of its model
 *     models         REGISTRY_MODELS rows
 *
 * Tables that are not used stay without memory.
 */
#ifndef COMMON_REGISTRY_LAYOUT_H
#define COMMON_REGISTRY_LAYOUT_H

#include "registry.h"

enum registry_table {
    REGISTRY_HEADS,
    REGISTRY_CERTIFICATES,
    REGISTRY_ENTRIES,
    REGISTRY_NEAR_STARTS,
    REGISTRY_PROOFS,
    REGISTRY_START_ANSWERS,
    REGISTRY_REMOTE_STARTS,
    REGISTRY_REMOTES_USED,
    REGISTRY_MODEL_NUMBERS,
    REGISTRY_MODEL_ROWS,
    REGISTRY_BLOCKS_USED,
    REGISTRY_BLOCK_PAGES,
    REGISTRY_BLOCK_TEXTS,
    REGISTRY_TABLES
};

/* The row of an entry, or the beginning of a table with other rows. The entry
 * must be below registry_capacity(). */
void *registry_row(struct registry *r, enum registry_table t, uint32_t entry);
void *registry_table(struct registry *r, enum registry_table t);

static inline struct registry_starts *
registry_starts_at(struct registry *r, uint32_t entry)
{
    return registry_row(r, REGISTRY_NEAR_STARTS, entry);
}

static inline struct registry_answers *
registry_answers_at(struct registry *r, uint32_t entry)
{
    return registry_row(r, REGISTRY_START_ANSWERS, entry);
}

static inline struct registry_remotes *
registry_remotes_at(struct registry *r, uint32_t entry)
{
    return registry_row(r, REGISTRY_REMOTE_STARTS, entry);
}

/* The capacity is kept in private memory if this process, or its parent before
 * the fork, has made the registry: any worker can write shared memory, so the
 * master must not use sizes from it. */
uint32_t registry_capacity(const struct registry *r);
uint32_t registry_heads(const struct registry *r);

/* The number of heads of a registry with that capacity: half of it or a little
 * more, so that a chain of a full registry has two entries on the average. Each
 * identity takes 4 to 8 bytes of heads if half of the entries are used. */
uint32_t registry_heads_for(uint32_t capacity);

#endif
