/* registry_blocks: memory for identities with many starts. See
 * registry_blocks.h. */
#include "registry_blocks.h"

#include <string.h>
#include <sys/mman.h>

#include "ensure.h"
#include "registry_layout.h"

#define ALL ((1u << REGISTRY_PAGE_BLOCKS) - 1)
#define GIVING (1u << 31) /* the page is being given back to the kernel */

/* The first word is the number of pages that have been in use; word i + 1 is
 * that of page i. */
static _Atomic uint32_t *
used(struct registry *r)
{
    return registry_table(r, REGISTRY_BLOCKS_USED);
}

static uint32_t
most_pages(struct registry *r)
{
    return registry_capacity(r) / REGISTRY_PAGE_BLOCKS + 1;
}

static union registry_block_page *
page_at(struct registry *r, uint32_t page)
{
    return (union registry_block_page *)registry_table(
               r, REGISTRY_BLOCK_PAGES) +
        page;
}

struct registry_block *
registry_block_at(struct registry *r, uint32_t block)
{
    if (block >= most_pages(r) * REGISTRY_PAGE_BLOCKS)
        return NULL;
    return &page_at(r, block / REGISTRY_PAGE_BLOCKS)
                ->of[block % REGISTRY_PAGE_BLOCKS];
}

union registry_block_texts *
registry_texts_at(struct registry *r, uint32_t block)
{
    if (block >= most_pages(r) * REGISTRY_PAGE_BLOCKS)
        return NULL;
    return (union registry_block_texts *)registry_table(
               r, REGISTRY_BLOCK_TEXTS) +
        block;
}

uint32_t
registry_block_pages(struct registry *r)
{
    uint32_t n = used(r)[0], most = most_pages(r);

    return n < most ? n : most;
}

uint32_t
registry_block_used(struct registry *r, uint32_t page)
{
    return page < most_pages(r) ? used(r)[page + 1] & ALL : 0;
}

static void
note_page(struct registry *r, uint32_t page)
{
    uint32_t n = used(r)[0];

    while (
        n <= page && !atomic_compare_exchange_weak(&used(r)[0], &n, page + 1))
        ;
}

uint32_t
registry_block_take(struct registry *r, uint32_t entry)
{
    for (uint32_t page = 0; page < most_pages(r); page++) {
        _Atomic uint32_t *word = &used(r)[page + 1];
        uint32_t          is = *word, bit;
        while ((is & GIVING) == 0 && (is & ALL) != ALL) {
            bit = ~is & (is + 1);
            if (!atomic_compare_exchange_weak(word, &is, is | bit))
                continue;
            note_page(r, page);
            uint32_t i =
                page * REGISTRY_PAGE_BLOCKS + (uint32_t)__builtin_ctz(bit);
            struct registry_block *b = registry_block_at(r, i);
            ensure(b != NULL);
            memset(b->word, 0, sizeof b->word);
            b->newest = 0;
            b->entry = entry + 1;
            return i;
        }
    }
    return REGISTRY_NONE;
}

/* Gives the memory of a page back to the kernel; afterwards its content is
 * zero. If the system cannot do that, the memory stays. */
static void
remove_page(void *page)
{
    (void)madvise(page, REGISTRY_PAGE, MADV_REMOVE);
}

void
registry_block_give(struct registry *r, uint32_t block)
{
    struct registry_block *b = registry_block_at(r, block);
    uint32_t               page = block / REGISTRY_PAGE_BLOCKS, none = 0;

    if (b == NULL)
        return;
    _Atomic uint32_t *word = &used(r)[page + 1];
    b->entry = 0;
    if (atomic_exchange(&b->texts, 0) != 0)
        remove_page(registry_texts_at(r, block));
    atomic_fetch_and(word, ~(1u << block % REGISTRY_PAGE_BLOCKS));
    if (!atomic_compare_exchange_strong(word, &none, GIVING))
        return;
    remove_page(page_at(r, page));
    *word = 0;
}
