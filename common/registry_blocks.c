/* registry_blocks: memory for identities with many starts. See
 * registry_blocks.h. */
#include "registry_blocks.h"

#include <string.h>
#include <sys/mman.h>

#include "registry_layout.h"

#define ALL ((1u << REGISTRY_PAGE_BLOCKS) - 1)
#define GIVING (1u << 31) /* the page is being returned to the kernel */

/* Which blocks are in use. Any value of `first` is safe. */
struct blocks_used {
    _Atomic uint32_t pages;  /* that have been in use */
    _Atomic uint32_t first;  /* a hint: the pages below have no free block */
    _Atomic uint32_t word[]; /* of each page: a bit for each block */
};

static struct blocks_used *
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
    uint32_t n = used(r)->pages, most = most_pages(r);

    return n < most ? n : most;
}

uint32_t
registry_block_used(struct registry *r, uint32_t page)
{
    return page < most_pages(r) ? used(r)->word[page] & ALL : 0;
}

static void
note_page(struct registry *r, uint32_t page)
{
    uint32_t n = used(r)->pages;

    while (n <= page &&
        !atomic_compare_exchange_weak(&used(r)->pages, &n, page + 1))
        ;
}

/* The page has a free block now. */
static void
note_free(struct registry *r, uint32_t page)
{
    uint32_t first = used(r)->first;

    while (first > page &&
        !atomic_compare_exchange_weak(&used(r)->first, &first, page))
        ;
}

/* Marks a free block as used. The pages from `page` to `end` are looked at. */
static uint32_t
mark_free_block(struct registry *r, uint32_t page, uint32_t end)
{
    for (; page < end; page++) {
        _Atomic uint32_t *word = &used(r)->word[page];
        uint32_t          is = *word;
        while ((is & GIVING) == 0 && (is & ALL) != ALL) {
            uint32_t bit = ~is & (is + 1);
            if (atomic_compare_exchange_weak(word, &is, is | bit))
                return page * REGISTRY_PAGE_BLOCKS +
                    (uint32_t)__builtin_ctz(bit);
        }
    }
    return REGISTRY_NONE;
}

uint32_t
registry_block_take(struct registry *r, uint32_t entry)
{
    uint32_t first = used(r)->first;
    uint32_t i = mark_free_block(r, first, most_pages(r));

    /* A block that was released while the hint was raised is below it. */
    if (i == REGISTRY_NONE)
        i = mark_free_block(r, 0, most_pages(r));
    struct registry_block *b = registry_block_at(r, i);
    if (b == NULL)
        return REGISTRY_NONE;
    uint32_t page = i / REGISTRY_PAGE_BLOCKS;
    note_page(r, page);
    if (page > first)
        atomic_compare_exchange_strong(&used(r)->first, &first, page);
    memset(b->word, 0, sizeof b->word);
    b->newest = 0;
    b->entry = entry + 1;
    return i;
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
    _Atomic uint32_t *word = &used(r)->word[page];
    b->entry = 0;
    if (atomic_exchange(&b->texts, 0) != 0)
        remove_page(registry_texts_at(r, block));
    atomic_fetch_and(word, ~(1u << block % REGISTRY_PAGE_BLOCKS));
    if (atomic_compare_exchange_strong(word, &none, GIVING)) {
        remove_page(page_at(r, page));
        *word = 0;
    }
    note_free(r, page);
}
