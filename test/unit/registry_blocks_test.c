/* registry_blocks: the memory that many StartTransactions took is released when
 * their charge point is quiet again. */
#include "registry_blocks.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "registry_fix.h"
#include "registry_layout.h"

#define WINDOW 100
#define MANY 1000

static const char text[] = "{\"idTokenInfo\":{\"status\":\"Accepted\"},"
                           "\"totalCost\":1.5}";

/* Returns the number of pages of the registry that have memory. */
static size_t
resident(struct registry *r)
{
    size_t         pages = (registry_size(registry_capacity(r)) + 4095) / 4096;
    unsigned char *in = malloc(pages);
    size_t         n = 0;

    CHECK(mincore(r, pages * 4096, in) == 0);
    for (size_t i = 0; i < pages; i++)
        n += in[i] & 1;
    free(in);
    return n;
}

static uint32_t
entry_of(struct registry *r, unsigned i)
{
    char name[16];
    int  n = snprintf(name, sizeof name, "CP%u", i);

    return registry_find(r, name, (size_t)n, true);
}

/* Returns event `number` of an entry. */
static void
print_of(uint64_t number, uint64_t fp[2])
{
    fp[0] = number;
    fp[1] = number << 40 | 99;
}

static void
send(struct registry *r, uint32_t e, uint64_t number, const char *answer)
{
    uint64_t fp[2];

    print_of(number, fp);
    registry_start_know(
        r, e, REGISTRY_START, fp, number, 0, answer, strlen(answer));
}

static bool
known(struct registry *r, uint32_t e, uint64_t number, const char *answer)
{
    struct registry_start s;
    uint64_t              fp[2];

    print_of(number, fp);
    return registry_start_find(r, e, fp, &s) == REGISTRY_START_KNOWN &&
        s.number == number && s.len == strlen(answer) &&
        memcmp(s.answer, answer, s.len) == 0;
}

static void
tidy(struct registry *r, unsigned slot, uint32_t now)
{
    registry_starts_tidy(r, 0, registry_starts_pages(r), slot, 2, now, WINDOW);
}

static void
tidy_all(struct registry *r, uint32_t now)
{
    tidy(r, 0, now);
    tidy(r, 1, now);
}

static uint32_t
blocks(struct registry *r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < registry_block_pages(r); i++)
        n += (uint32_t)__builtin_popcount(registry_block_used(r, i));
    return n;
}

/* This holds whatever the answers are. */
static void
the_memory_is_given_back(const char *answer)
{
    struct registry *r = fix_registry(MANY);

    UNIT_CASE(answer);
    for (unsigned i = 0; i < MANY; i++)
        for (uint64_t n = 1; n <= 4; n++)
            send(r, entry_of(r, i), n, answer);
    /* The words that record which blocks are in use are memory of the gateway.
     */
    for (uint32_t i = 0; i <= MANY / REGISTRY_PAGE_BLOCKS; i++)
        CHECK_EQ(registry_block_used(r, i), 0);
    size_t few = resident(r);
    for (unsigned i = 0; i < MANY; i++)
        for (uint64_t n = 5; n <= 30; n++)
            send(r, entry_of(r, i), n, answer);
    CHECK_EQ(blocks(r), MANY);
    size_t many = resident(r);
    CHECK(many > few + MANY / REGISTRY_PAGE_BLOCKS);
    tidy_all(r, 1000);
    tidy_all(r, 1000 + WINDOW - 1);
    CHECK_EQ(blocks(r), MANY);
    for (unsigned i = 0; i < MANY; i++)
        for (uint64_t n = 1; n <= 30; n++)
            CHECK_EQ(known(r, entry_of(r, i), n, answer), n > 10);
    tidy_all(r, 1000 + WINDOW);
    CHECK_EQ(blocks(r), 0);
    CHECK_EQ(resident(r), few);
    printf("# %d entries: %zu pages with 4 starts, %zu with %d, %zu again\n",
        MANY, few, many, REGISTRY_STARTS, resident(r));
    for (unsigned i = 0; i < MANY; i++)
        for (uint64_t n = 1; n <= 30; n++)
            CHECK_EQ(known(r, entry_of(r, i), n, answer), n > 26);
    UNIT_CASE("");
}

/* Searching for a start that is not stored takes no memory. */
static void
four_starts_take_no_block(void)
{
    struct registry *r = fix_registry(MANY);
    uint32_t         e = entry_of(r, 1);

    for (uint64_t n = 1; n <= 4; n++)
        send(r, e, n, "{}");
    size_t few = resident(r);
    CHECK(!known(r, e, 5, "{}"));
    CHECK_EQ(resident(r), few);
}

static void
only_what_is_quiet(void)
{
    struct registry *r = fix_registry(20);
    uint32_t         e = entry_of(r, 1);
    uint64_t         fp[2];

    for (uint64_t n = 1; n <= 6; n++)
        send(r, e, n, text);
    tidy_all(r, 1000);
    UNIT_CASE("a start that arrives in the meantime counts");
    send(r, e, 7, text);
    tidy_all(r, 1000 + WINDOW);
    CHECK_EQ(blocks(r), 1);
    tidy_all(r, 1000 + 2 * WINDOW - 1);
    CHECK_EQ(blocks(r), 1);
    UNIT_CASE("starts that are not decided stay, and the newest ones");
    print_of(2, fp);
    registry_start_ask(r, e, REGISTRY_START, fp, 1, 2);
    print_of(3, fp);
    registry_start_draft(r, e, REGISTRY_START, fp, 1, 3, 0, text, strlen(text));
    tidy_all(r, 1000 + 2 * WINDOW);
    CHECK_EQ(blocks(r), 0);
    struct registry_start s;
    CHECK_EQ(registry_start_find(r, e, fp, &s), REGISTRY_START_DRAFT);
    CHECK_STRN(s.answer, s.len, text);
    print_of(2, fp);
    CHECK_EQ(registry_start_find(r, e, fp, &s), REGISTRY_START_ASKED);
    CHECK(known(r, e, 6, text) && known(r, e, 7, text));
    CHECK(!known(r, e, 1, text) && !known(r, e, 5, text));
    UNIT_CASE("more starts can follow");
    for (uint64_t n = 8; n <= 20; n++)
        send(r, e, n, text);
    CHECK_EQ(blocks(r), 1);
    for (uint64_t n = 6; n <= 20; n++)
        CHECK(known(r, e, n, text));
    UNIT_CASE("");
}

/* Only the owner writes the starts of an entry. */
static void
of_its_owner(void)
{
    struct registry      *r = fix_registry(20);
    struct registry_claim claim;

    CHECK_EQ(fix_claim(r, "CP1", 1, 5, &claim), REGISTRY_OK);
    for (uint64_t n = 1; n <= 6; n++)
        send(r, claim.entry, n, "{}");
    tidy(r, 0, 1000);
    tidy(r, 0, 1000 + WINDOW);
    CHECK_EQ(blocks(r), 1);
    tidy(r, 1, 1000 + WINDOW);
    tidy(r, 1, 1000 + 2 * WINDOW);
    CHECK_EQ(blocks(r), 0);
    UNIT_CASE("without an owner, one worker looks at it");
    for (uint64_t n = 7; n <= 12; n++)
        send(r, claim.entry, n, "{}");
    CHECK(registry_release(r, claim.entry, claim.self));
    tidy(r, 1, 2000);
    tidy(r, 1, 2000 + WINDOW);
    CHECK_EQ(blocks(r), 1);
    tidy_all(r, 3000);
    tidy_all(r, 3000 + WINDOW);
    CHECK_EQ(blocks(r), 0);
    UNIT_CASE("");
}

/* If a worker dies while it takes a block, or after a stray store, at most the
 * starts of one entry are lost. */
static void
a_lost_block_comes_back(void)
{
    struct registry *r = fix_registry(20);
    uint32_t         e = entry_of(r, 1), other = entry_of(r, 2);

    UNIT_CASE("a block without an entry");
    CHECK_EQ(registry_block_take(r, e), 0);
    tidy_all(r, 1000);
    tidy_all(r, 1000 + WINDOW);
    CHECK_EQ(blocks(r), 0);
    CHECK_EQ(registry_block_take(r, e), 0);
    registry_block_at(r, 0)->entry =
        0; /* as if it had died before writing this */
    tidy_all(r, 2000);
    tidy_all(r, 2000 + WINDOW);
    CHECK_EQ(blocks(r), 0);

    UNIT_CASE("an entry with the block of another one");
    for (uint64_t n = 1; n <= 8; n++)
        send(r, e, n, "{}");
    CHECK(known(r, e, 8, "{}"));
    registry_block_at(r, 0)->entry = other + 1;
    CHECK(!known(r, e, 8, "{}") && known(r, e, 2, "{}"));
    for (uint64_t n = 9; n <= 12; n++)
        send(r, e, n, "{}");
    for (uint64_t n = 9; n <= 12; n++)
        CHECK(known(r, e, n, "{}"));
    tidy_all(r, 3000);
    tidy_all(r, 3000 + WINDOW);
    CHECK_EQ(blocks(r), 0);
    for (uint64_t n = 9; n <= 12; n++)
        CHECK(known(r, e, n, "{}"));

    UNIT_CASE("an entry that is reused for another identity");
    for (uint64_t n = 13; n <= 20; n++)
        send(r, e, n, "{}");
    CHECK_EQ(blocks(r), 1);
    registry_starts_clear(r, e);
    CHECK_EQ(blocks(r), 0);
    CHECK(!known(r, e, 20, "{}"));
    UNIT_CASE("");
}

/* If a block belongs to another entry by now, its starts match none of that
 * entry. */
static void
words_belong_to_an_entry(void)
{
    struct registry       *r = fix_registry(20);
    uint32_t               e = entry_of(r, 1), other = entry_of(r, 2);
    struct registry_block *b;

    for (uint64_t n = 1; n <= 8; n++)
        send(r, e, n, "{}");
    for (uint64_t n = 11; n <= 18; n++)
        send(r, other, n, "{}");
    b = registry_block_at(r, 0);
    for (unsigned i = 0; i < REGISTRY_STARTS_FAR; i++)
        for (unsigned k = 0; k < 3; k++)
            registry_block_at(r, 1)->word[i][k] = b->word[i][k];
    for (uint64_t n = 1; n <= 8; n++)
        CHECK(known(r, e, n, "{}") && !known(r, other, n, "{}"));
}

/* Processes take and release blocks at the same time, and no block is taken
 * twice. */
static void
no_block_twice(void)
{
    enum { PROCESSES = 4, ROUNDS = 3000, HOLD = 40 };
    struct registry  *r = fix_registry(PROCESSES * HOLD);
    _Atomic uint64_t *twice = fix_shared(sizeof *twice);
    pid_t             child[PROCESSES];

    for (uint32_t p = 0; p < PROCESSES; p++)
        if ((child[p] = fork()) == 0) {
            uint32_t held[HOLD];
            for (unsigned round = 0; round < ROUNDS; round++) {
                unsigned n = 1 + (round * 7 + p) % HOLD;
                for (unsigned i = 0; i < n; i++) {
                    held[i] = registry_block_take(r, p);
                    if (held[i] == REGISTRY_NONE)
                        _exit(1);
                    registry_block_at(r, held[i])->word[0][0] = p + 1;
                }
                for (unsigned i = 0; i < n; i++) {
                    struct registry_block *b = registry_block_at(r, held[i]);
                    if (b->word[0][0] != p + 1 || b->entry != p + 1)
                        ++*twice;
                    registry_block_give(r, held[i]);
                }
            }
            _exit(0);
        }
    for (unsigned p = 0; p < PROCESSES; p++) {
        int status;
        CHECK(waitpid(child[p], &status, 0) == child[p]);
        CHECK_EQ(status, 0);
    }
    CHECK_EQ(*twice, 0);
    CHECK_EQ(blocks(r), 0);
}

/* Blocks with low numbers are taken first, so that the pages with higher ones
 * can be released. */
static void
low_numbers_first(void)
{
    enum { BLOCKS = 4 * REGISTRY_PAGE_BLOCKS };
    struct registry *r = fix_registry(BLOCKS - 1); /* one page more */

    for (uint32_t i = 0; i < BLOCKS; i++)
        CHECK_EQ(registry_block_take(r, i), i);
    registry_block_give(r, BLOCKS - 2);
    registry_block_give(r, 3);
    registry_block_give(r, 20);
    CHECK_EQ(registry_block_take(r, 1), 3);
    CHECK_EQ(registry_block_take(r, 1), 20);
    CHECK_EQ(registry_block_take(r, 1), BLOCKS - 2);
    UNIT_CASE("a page that was given back");
    for (uint32_t i = 0; i < REGISTRY_PAGE_BLOCKS; i++)
        registry_block_give(r, REGISTRY_PAGE_BLOCKS + i);
    for (uint32_t i = 0; i < REGISTRY_PAGE_BLOCKS; i++)
        CHECK_EQ(registry_block_take(r, 1), REGISTRY_PAGE_BLOCKS + i);

    UNIT_CASE("the hint is wrong");
    _Atomic uint32_t *first =
        (_Atomic uint32_t *)registry_table(r, REGISTRY_BLOCKS_USED) + 1;
    CHECK_EQ(*first, 1);
    registry_block_give(r, 5);
    for (uint32_t wrong = 1; wrong != 0; wrong <<= 1) {
        *first = wrong;
        CHECK_EQ(registry_block_take(r, 1), 5);
        registry_block_give(r, 5);
    }
    UNIT_CASE("");
}

int
main(void)
{
    the_memory_is_given_back("{}");
    the_memory_is_given_back(text);
    four_starts_take_no_block();
    only_what_is_quiet();
    of_its_owner();
    a_lost_block_comes_back();
    words_belong_to_an_entry();
    low_numbers_first();
    no_block_twice();
    return unit_done();
}
