/*
 * registry_blocks: memory that an identity gets while it has many starts
 * (registry_starts.h), and that it releases. Private to registry*.c.
 *
 * A block belongs to one entry. Blocks with low numbers are given first, and a
 * page whose blocks are all free is returned to the kernel, so the memory in
 * use follows the number of blocks in use.
 *
 * A block is taken and released by compare-and-swap of the page's word in
 * REGISTRY_BLOCKS_USED, by any worker and without a lock. A process that dies
 * in between leaves a block that no entry refers to, which
 * registry_starts_tidy() finds, or at worst a page that is not used again.
 */
#ifndef COMMON_REGISTRY_BLOCKS_H
#define COMMON_REGISTRY_BLOCKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "registry_starts.h"

#define REGISTRY_PAGE 4096
#define REGISTRY_PAGE_BLOCKS 9

struct registry_block {
    _Atomic uint32_t entry;  /* entry + 1; 0: the block is free */
    _Atomic uint32_t since;  /* seconds; when `newest` was seen first */
    _Atomic uint64_t newest; /* highest number at the last look; 0: none yet */
    _Atomic uint32_t texts;  /* 1: its row of texts was written */
    _Atomic uint64_t word[REGISTRY_STARTS_FAR][3];
};

union registry_block_page {
    struct registry_block of[REGISTRY_PAGE_BLOCKS];
    char                  page[REGISTRY_PAGE];
};
_Static_assert(sizeof(union registry_block_page) == REGISTRY_PAGE, "one page");

/* A row of REGISTRY_BLOCK_TEXTS. */
union registry_block_texts {
    struct registry_text of[REGISTRY_STARTS - REGISTRY_STARTS_NEAR];
    char                 page[REGISTRY_PAGE];
};
_Static_assert(sizeof(union registry_block_texts) == REGISTRY_PAGE, "one page");

/* The block gets no words and the entry. REGISTRY_NONE if none is free. */
uint32_t registry_block_take(struct registry *r, uint32_t entry);
void     registry_block_give(struct registry *r, uint32_t block);

/* NULL if the number is out of range. */
struct registry_block *registry_block_at(struct registry *r, uint32_t block);
union registry_block_texts *registry_texts_at(
    struct registry *r, uint32_t block);

/* Pages that have been in use so far, and the blocks in use of one of them, a
 * bit each. */
uint32_t registry_block_pages(struct registry *r);
uint32_t registry_block_used(struct registry *r, uint32_t page);

#endif
