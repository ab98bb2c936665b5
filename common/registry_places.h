/*
 * registry_places: the places of an entry's starts (registry_starts.h), and how
 * a start lies in the three words of a place. Private to registry*.c.
 */
#ifndef COMMON_REGISTRY_PLACES_H
#define COMMON_REGISTRY_PLACES_H

#include "registry_blocks.h"
#include "registry_layout.h"

/* The form of a start, four bits of its second word. */
enum form {
    FORM_NONE, /* a word of zero: the place is free; WRITING: it is written */
    FORM_ASKED,
    FORM_STOPPED, /* recovery: the transaction with this id has ended */
    FORM_BLOCK,   /* the last near place: the other places are in a block */
    FORM_DRAFT = 4,
    FORM_KNOWN = 10
};

/* An answer that is only a number (registry_answer.h) takes no memory beside
 * the words. For a START or STOP the number is added to FORM_DRAFT or
 * FORM_KNOWN; OTHER_TEXT added to them means that the answer is a text. An
 * EVENT has the EVENT bit set, and the number instead of a transaction id. */
#define OTHER_TEXT REGISTRY_ANSWER_STATUSES

#define FORM_SHIFT 32
/* Second word of a place with FORM_NONE that is being written. */
#define WRITING 1
#define PRINT_SHIFT 36 /* above: bits of the fingerprint */
#define NUMBER_BITS 53 /* numbers are microseconds, until the year 2255 */
#define EVENT (UINT64_C(1) << NUMBER_BITS)
#define SLOT_SHIFT 54
#define KIND_SHIFT 62

/* The places of an entry. */
struct places {
    struct registry            *r;
    uint32_t                    entry;
    uint32_t                    block; /* REGISTRY_NONE: there is none */
    struct registry_starts     *near;
    struct registry_block      *far;
    struct registry_answers    *answers;
    union registry_block_texts *texts;
};

static inline int
places_count(const struct places *t)
{
    return t->far != NULL ? REGISTRY_STARTS : REGISTRY_STARTS_NEAR;
}

/* The three words of place i < places_count(). The places in use are the first
 * ones, so the block is not touched while there is room in the near table. */
static inline _Atomic uint64_t *
places_words(const struct places *t, int i)
{
    return t->far != NULL && i >= REGISTRY_STARTS_NEAR - 1
        ? t->far->word[i - (REGISTRY_STARTS_NEAR - 1)]
        : t->near->word[i];
}

static inline struct registry_text *
places_text(const struct places *t, int i)
{
    return i < REGISTRY_STARTS_NEAR ? &t->answers->of[i]
                                    : &t->texts->of[i - REGISTRY_STARTS_NEAR];
}

static inline bool
places_free(const struct places *t, int i)
{
    return places_words(t, i)[1] == 0;
}

static inline enum form
places_form(uint64_t second)
{
    return (enum form)(second >> FORM_SHIFT & 15);
}

static inline bool
places_known(enum form f)
{
    return f >= FORM_KNOWN && f <= FORM_KNOWN + OTHER_TEXT;
}

static inline bool
places_draft(enum form f)
{
    return f >= FORM_DRAFT && f <= FORM_DRAFT + OTHER_TEXT;
}

static inline bool
places_has_text(uint64_t second, uint64_t third)
{
    enum form f = places_form(second);

    return (third & EVENT) == 0 &&
        (f == FORM_DRAFT + OTHER_TEXT || f == FORM_KNOWN + OTHER_TEXT);
}

static inline int32_t
places_id(uint64_t second)
{
    return (int32_t)(uint32_t)second;
}

static inline unsigned
places_slot(uint64_t third)
{
    return third >> SLOT_SHIFT & 255;
}

static inline enum registry_start_kind
places_kind(uint64_t third)
{
    return (enum registry_start_kind)(third >> KIND_SHIFT);
}

static inline uint64_t
places_number(uint64_t third)
{
    return third & (EVENT - 1);
}

static inline enum registry_answer_form
places_answer_form(enum registry_start_kind kind)
{
    return kind == REGISTRY_START_STOP ? REGISTRY_ANSWER_STOP
                                       : REGISTRY_ANSWER_START;
}

/* The places of the starts of an entry, which stay valid until the entry gives
 * its block back. */
struct places places_of(struct registry *r, uint32_t entry);

/* The first word of place i, for these bits of the fingerprint. */
uint64_t places_check(const struct places *t, int i, uint64_t fp0,
    uint64_t second, uint64_t third);

/* The answer of place i, as text. Returns its length. */
size_t places_answer(
    char *out, const struct places *t, int i, uint64_t second, uint64_t third);

/* The place of a fingerprint; REGISTRY_STARTS if it is not there. */
int places_find(const struct places *t, const uint64_t fp[2]);

/* The place for a new start; REGISTRY_STARTS if all are newer. The entry may
 * get a block. */
int places_make(
    struct places *t, enum registry_start_kind kind, uint64_t number);

/* Writes a start to place i: its words (see places_check()) and its answer. */
void places_put(const struct places *t, int i, uint64_t fp0, uint64_t second,
    uint64_t third, const char *answer, size_t len);

/* The last place in use moves to the one that becomes free. */
void places_erase(const struct places *t, int i);

#endif
