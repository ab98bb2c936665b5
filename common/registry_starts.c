/* registry_starts: the last starts of each identity and their answers. See
 * registry_starts.h. */
#include "registry_starts.h"

#include <string.h>

#include "registry_places.h"

/* form: FORM_ASKED, FORM_DRAFT or FORM_KNOWN. */
static void
set(struct registry *r, uint32_t entry, enum registry_start_kind kind,
    const uint64_t fp[2], unsigned form, unsigned slot, uint64_t number,
    int32_t id, const char *answer, size_t len)
{
    struct places  table = places_of(r, entry);
    struct places *t = &table;
    int            i = places_find(t, fp);
    uint64_t       third = (uint64_t)kind << KIND_SHIFT |
        (uint64_t)(slot & 255) << SLOT_SHIFT | places_number(number);
    int event = -1;

    if (len > REGISTRY_ANSWER_MAX) {
        if (i < REGISTRY_STARTS)
            places_erase(t, i);
        return;
    }
    if (form != FORM_ASKED && kind == REGISTRY_START)
        event = registry_answer_number(REGISTRY_ANSWER_EVENT, 0, answer, len);
    if (event >= 0) {
        third |= EVENT;
        id = event;
    } else if (form != FORM_ASKED) {
        int status =
            registry_answer_number(places_answer_form(kind), id, answer, len);
        form += status >= 0 ? (unsigned)status : OTHER_TEXT;
    }
    uint64_t second = fp[1] >> PRINT_SHIFT << PRINT_SHIFT |
        (uint64_t)form << FORM_SHIFT | (uint32_t)id;
    if (i == REGISTRY_STARTS)
        i = places_make(t, kind, places_number(number));
    if (i < REGISTRY_STARTS)
        places_put(t, i, fp[0], second, third, answer, len);
}

enum registry_start_state
registry_start_find(struct registry *r, uint32_t entry, const uint64_t fp[2],
    struct registry_start *out)
{
    struct places  table = places_of(r, entry);
    struct places *t = &table;
    int            i = places_find(t, fp);

    out->state = REGISTRY_START_UNKNOWN;
    out->len = 0;
    /* A former owner that removes a start may have moved this one in the
     * meantime. */
    if (i == REGISTRY_STARTS)
        i = places_find(t, fp);
    if (i == REGISTRY_STARTS)
        return out->state;
    _Atomic uint64_t *word = places_words(t, i);
    uint64_t          second = word[1], third = word[2];
    enum form         f = places_form(second);
    out->slot = places_slot(third);
    out->number = places_number(third);
    if (places_draft(f) || places_known(f))
        out->len = places_answer(out->answer, t, i, second, third);
    /* Another process has changed the start while it was read. */
    if (places_find(t, fp) != i || word[1] != second)
        return out->state;
    out->state = places_known(f) ? REGISTRY_START_KNOWN
        : places_draft(f)        ? REGISTRY_START_DRAFT
        : f == FORM_ASKED        ? REGISTRY_START_ASKED
                                 : REGISTRY_START_UNKNOWN;
    return out->state;
}

/* True if a place holds a KNOWN start of the given kind and transaction. */
static bool
is_of(const struct places *t, int i, enum registry_start_kind kind, int32_t id)
{
    _Atomic uint64_t *word = places_words(t, i);

    return places_known(places_form(word[1])) && (word[2] & EVENT) == 0 &&
        places_kind(word[2]) == kind && places_id(word[1]) == id;
}

/* Forgets the starts of the transaction from earlier events. False if there was
 * none. */
static bool
forget(const struct places *t, enum registry_start_kind kind, int32_t id,
    uint64_t number)
{
    bool found = false;

    for (int i = 0; i < places_count(t) && !places_free(t, i);)
        if (is_of(t, i, kind, id) &&
            places_number(places_words(t, i)[2]) < number) {
            places_erase(t, i);
            found = true;
        } else {
            i++;
        }
    return found;
}

void
registry_start_ask(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], unsigned slot,
    uint64_t number)
{
    set(r, entry, kind, fp, FORM_ASKED, slot, number, 0, NULL, 0);
}

void
registry_start_draft(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], unsigned slot,
    uint64_t number, int32_t id, const char *answer, size_t len)
{
    set(r, entry, kind, fp, FORM_DRAFT, slot, number, id, answer, len);
}

void
registry_start_know(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], uint64_t number,
    int32_t id, const char *answer, size_t len)
{
    struct places t = places_of(r, entry);

    if (kind == REGISTRY_START)
        forget(&t, REGISTRY_START_STOP, id, number);
    set(r, entry, kind, fp, FORM_KNOWN, 0, number, id, answer, len);
}

void
registry_start_drop(
    struct registry *r, uint32_t entry, const uint64_t fp[2], uint64_t number)
{
    struct places  table = places_of(r, entry);
    struct places *t = &table;
    int            i = places_find(t, fp);

    if (i < REGISTRY_STARTS &&
        !places_known(places_form(places_words(t, i)[1])) &&
        places_number(places_words(t, i)[2]) == places_number(number))
        places_erase(t, i);
}

void
registry_start_stop(
    struct registry *r, uint32_t entry, int32_t id, uint64_t number)
{
    struct places t = places_of(r, entry);

    forget(&t, REGISTRY_START, id, number);
}

/* --- recovery ------------------------------------------------------------ */

/* True if a stop of this transaction with a higher event number was read. */
static bool
stopped(const struct places *t, int32_t id, uint64_t number)
{
    for (int i = 0; i < places_count(t) && !places_free(t, i); i++) {
        _Atomic uint64_t *word = places_words(t, i);
        if (places_form(word[1]) == FORM_STOPPED && places_id(word[1]) == id &&
            places_number(word[2]) > number)
            return true;
    }
    return false;
}

/* True if a later event has made this one obsolete: the stop of a start, or a
 * start with the transaction id of a stop. */
static bool
is_over(const struct places *t, enum registry_start_kind kind, int32_t id,
    uint64_t number)
{
    if (kind == REGISTRY_START)
        return stopped(t, id, number);
    for (int i = 0; i < places_count(t) && !places_free(t, i); i++)
        if (is_of(t, i, REGISTRY_START, id) &&
            places_number(places_words(t, i)[2]) > number)
            return true;
    return false;
}

void
registry_start_recover(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], uint64_t number,
    int32_t id, const char *answer, size_t len, bool add)
{
    struct places         table = places_of(r, entry);
    struct places        *t = &table;
    struct registry_start there;

    if (!registry_lock(r))
        return;
    registry_start_find(r, entry, fp, &there);
    if (there.state == REGISTRY_START_UNKNOWN
            ? add && !is_over(t, kind, id, number)
            : places_number(number) == there.number ||
                (add && places_number(number) > there.number &&
                    !is_over(t, kind, id, number)))
        registry_start_know(r, entry, kind, fp, number, id, answer, len);
    registry_unlock(r);
}

void
registry_start_recover_stop(
    struct registry *r, uint32_t entry, int32_t id, uint64_t number, bool add)
{
    struct places  table = places_of(r, entry);
    struct places *t = &table;

    if (!registry_lock(r))
        return;
    /* If its start was not read yet, it may be in the journal of another
     * slot. */
    if (!forget(t, REGISTRY_START, id, number) && add &&
        !stopped(t, id, number - 1)) {
        int i = places_make(t, REGISTRY_START, places_number(number));
        if (i < REGISTRY_STARTS)
            places_put(t, i, 0,
                (uint64_t)FORM_STOPPED << FORM_SHIFT | (uint32_t)id,
                places_number(number), NULL, 0);
    }
    registry_unlock(r);
}

void
registry_starts_clear(struct registry *r, uint32_t entry)
{
    struct places t = places_of(r, entry);

    memset(t.near, 0, sizeof *t.near);
    if (t.far != NULL)
        registry_block_give(r, t.block);
}
