/* registry_places: the places of an entry's starts. See registry_places.h. */
#include "registry_places.h"

#include <string.h>

#include "hash.h"

/* Spreads the bits of a word: the final steps of splitmix64. */
static uint64_t
spread(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The second word of the last near place if the entry has that block. The
 * number of the block is in the place of the transaction id. */
static uint64_t
block_word(uint32_t entry, uint32_t block)
{
    return spread((uint64_t)entry << 32 | block) >> PRINT_SHIFT << PRINT_SHIFT |
        (uint64_t)FORM_BLOCK << FORM_SHIFT | block;
}

static void
use_block(struct places *t, uint32_t block)
{
    t->block = block;
    t->far = registry_block_at(t->r, block);
    t->texts = registry_texts_at(t->r, block);
}

struct places
places_of(struct registry *r, uint32_t entry)
{
    struct places t = {.r = r,
        .entry = entry,
        .block = REGISTRY_NONE,
        .near = registry_starts_at(r, entry),
        .answers = registry_answers_at(r, entry)};
    uint64_t      second = t.near->word[REGISTRY_STARTS_NEAR - 1][1];
    uint32_t      block = (uint32_t)second;

    if (second != block_word(entry, block))
        return t;
    struct registry_block *b = registry_block_at(r, block);
    if (b != NULL && b->entry == entry + 1)
        use_block(&t, block);
    return t;
}

size_t
places_answer(
    char *out, const struct places *t, int i, uint64_t second, uint64_t third)
{
    enum form f = places_form(second);

    if ((third & EVENT) != 0)
        return registry_answer_put(
            out, REGISTRY_ANSWER_EVENT, 0, (uint32_t)places_id(second));
    if (!places_has_text(second, third))
        return registry_answer_put(out, places_answer_form(places_kind(third)),
            places_id(second),
            (unsigned)f - (places_known(f) ? FORM_KNOWN : FORM_DRAFT));
    const struct registry_text *text = places_text(t, i);
    size_t                      n = text->len;
    if (n > REGISTRY_ANSWER_MAX)
        return 0;
    memcpy(out, text->text, n);
    return n;
}

uint64_t
places_check(const struct places *t, int i, uint64_t fp0, uint64_t second,
    uint64_t third)
{
    /* The hash includes the entry, because the block may belong to another
     * entry by now. */
    uint64_t h = spread(second) ^ spread(~third - t->entry);

    if (places_has_text(second, third)) {
        const struct registry_text *text = places_text(t, i);
        size_t len = text->len <= REGISTRY_ANSWER_MAX ? text->len : 0;
        h ^= hash_sum(text->text, len, 2);
    }
    return fp0 ^ h;
}

void
places_put(const struct places *t, int i, uint64_t fp0, uint64_t second,
    uint64_t third, const char *answer, size_t len)
{
    _Atomic uint64_t *word = places_words(t, i);

    /* The word is not set to 0, because a search in another process would stop
     * at a free place. */
    word[1] = WRITING;
    if (places_has_text(second, third)) {
        struct registry_text *text = places_text(t, i);
        if (i >= REGISTRY_STARTS_NEAR)
            t->far->texts = 1;
        text->len = (uint16_t)len;
        if (len > 0)
            memmove(text->text, answer, len);
    }
    word[2] = third;
    word[0] = places_check(t, i, fp0, second, third);
    word[1] = second;
}

/* Moves the start at `from` to `to`; a damaged one stays damaged. */
static void
move(const struct places *t, int to, int from)
{
    _Atomic uint64_t *word = places_words(t, from);
    uint64_t          first = word[0], second = word[1], third = word[2];
    uint64_t          fp0 = first ^ places_check(t, from, 0, second, third);

    bool text = places_has_text(second, third);

    places_put(t, to, fp0, second, third,
        text ? places_text(t, from)->text : NULL,
        text ? places_text(t, from)->len : 0);
}

void
places_erase(const struct places *t, int i)
{
    int last = i;

    while (last < places_count(t) - 1 && !places_free(t, last + 1))
        last++;
    if (last != i)
        move(t, i, last);
    places_words(t, last)[1] = 0;
}

int
places_find(const struct places *t, const uint64_t fp[2])
{
    for (int i = 0; i < places_count(t); i++) {
        _Atomic uint64_t *word = places_words(t, i);
        uint64_t          second = word[1], third = word[2];
        if (second == 0)
            break;
        if (second >> PRINT_SHIFT == fp[1] >> PRINT_SHIFT &&
            places_form(second) != FORM_STOPPED &&
            word[0] == places_check(t, i, fp[0], second, third))
            return i;
    }
    return REGISTRY_STARTS;
}

/* Gives the entry a block. First the words of the last near place are copied
 * there; then one store makes its second word refer to the block. If a process
 * dies in between, the block has no entry and the place is unchanged. */
static bool
extend(struct places *t)
{
    _Atomic uint64_t *last = t->near->word[REGISTRY_STARTS_NEAR - 1];
    uint32_t          block = registry_block_take(t->r, t->entry);

    if (block == REGISTRY_NONE)
        return false;
    use_block(t, block);
    for (int k = 0; k < 3; k++)
        t->far->word[0][k] = last[k];
    last[1] = block_word(t->entry, block);
    return true;
}

/* The place for a new start: a free one, or that of the oldest start that may
 * be dropped; REGISTRY_STARTS if all are newer. */
int
places_make(struct places *t, enum registry_start_kind kind, uint64_t number)
{
    uint64_t oldest = UINT64_MAX, oldest_stop = UINT64_MAX;
    int      at = REGISTRY_STARTS, stop_at = REGISTRY_STARTS, stops = 0;
    _Atomic uint64_t *last = t->near->word[REGISTRY_STARTS_NEAR - 1];

    if (t->far == NULL && places_form(last[1]) == FORM_BLOCK)
        last[1] = 0; /* the block belongs to another entry */
    for (int i = 0; i < REGISTRY_STARTS; i++) {
        if (i == REGISTRY_STARTS_NEAR &&
            (stops > 1 || (stops > 0 && kind == REGISTRY_START_STOP)))
            return oldest_stop <= number ? stop_at : REGISTRY_STARTS;
        if (i == places_count(t) && !extend(t))
            break;
        if (places_free(t, i))
            return i;
        uint64_t third = places_words(t, i)[2];
        uint64_t n = places_number(third);
        if (n < oldest) {
            oldest = n;
            at = i;
        }
        if (places_kind(third) != REGISTRY_START_STOP)
            continue;
        stops++;
        if (n < oldest_stop) {
            oldest_stop = n;
            stop_at = i;
        }
    }
    return oldest <= number ? at : REGISTRY_STARTS;
}
