/* registry_starts: the last starts of each identity and how they were answered.
 * See registry_starts.h. */
#include "registry_starts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hash.h"
#include "registry.h"

/* The form of a start, four bits of its second word. */
enum form {
    FORM_NONE, /* a word of zero: the place is free; WRITING: it is written */
    FORM_ASKED,
    FORM_STOPPED, /* recovery: the transaction of this id has ended */
    FORM_DRAFT = 4,
    FORM_KNOWN = 10
};

/* The statuses of IdTagInfo, in the forms behind FORM_DRAFT and FORM_KNOWN;
 * the last one stands for any other text. */
static const char *const statuses[] = {
    "Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"};
#define STATUSES (sizeof statuses / sizeof statuses[0])
#define OTHER_TEXT STATUSES

#define FORM_SHIFT 32
#define WRITING 1      /* a second word of FORM_NONE that is not free */
#define PRINT_SHIFT 36 /* above: bits of the fingerprint */
#define SLOT_SHIFT 54  /* numbers are microseconds, until the year 2540 */

/* The three words of place i. The places in use are the first ones, so the far
 * table is not touched while there is room in the near one. */
static _Atomic uint64_t *
words(struct registry *r, uint32_t entry, int i)
{
    return i < REGISTRY_STARTS_NEAR
        ? registry_starts_at(r, entry)->word[i]
        : registry_far_starts_at(r, entry)->word[i - REGISTRY_STARTS_NEAR];
}

static bool
is_free(struct registry *r, uint32_t entry, int i)
{
    return words(r, entry, i)[1] == 0;
}

static enum form
form_of(uint64_t second)
{
    return (enum form)(second >> FORM_SHIFT & 15);
}

static bool
is_known(enum form f)
{
    return f >= FORM_KNOWN && f <= FORM_KNOWN + OTHER_TEXT;
}

static bool
is_draft(enum form f)
{
    return f >= FORM_DRAFT && f <= FORM_DRAFT + OTHER_TEXT;
}

static bool
has_text(enum form f)
{
    return f == FORM_DRAFT + OTHER_TEXT || f == FORM_KNOWN + OTHER_TEXT;
}

static int32_t
id_of(uint64_t second)
{
    return (int32_t)(uint32_t)second;
}

static uint64_t
number_of(uint64_t third)
{
    return third & ((UINT64_C(1) << SLOT_SHIFT) - 1);
}

static size_t
put_simple(char *out, size_t size, int32_t id, unsigned status)
{
    return (size_t)snprintf(out, size,
        "{\"transactionId\":%" PRId32 ",\"idTagInfo\":{\"status\":\"%s\"}}", id,
        statuses[status]);
}

/* Which status makes this answer; OTHER_TEXT if none does. */
static unsigned
status_of(int32_t id, const char *answer, size_t len)
{
    char simple[REGISTRY_ANSWER_MAX];

    for (unsigned i = 0; i < STATUSES; i++)
        if (put_simple(simple, sizeof simple, id, i) == len &&
            memcmp(simple, answer, len) == 0)
            return i;
    return OTHER_TEXT;
}

static uint64_t
check_word(struct registry *r, uint32_t entry, int i, uint64_t fp0,
    uint64_t second, uint64_t third)
{
    uint64_t h =
        hash_sum(&second, sizeof second, 0) ^ hash_sum(&third, sizeof third, 1);

    if (has_text(form_of(second))) {
        const struct registry_answers *a = registry_answers_at(r, entry);
        size_t                         len = a->of[i].len;
        if (len > REGISTRY_ANSWER_MAX)
            len = 0;
        h ^= hash_sum(a->of[i].text, len, 2);
    }
    return fp0 ^ h;
}

static void
put(struct registry *r, uint32_t entry, int i, uint64_t fp0, uint64_t second,
    uint64_t third, const char *answer, size_t len)
{
    _Atomic uint64_t *word = words(r, entry, i);

    /* Not 0: another process that looks for a start would stop here. */
    word[1] = WRITING;
    if (has_text(form_of(second))) {
        struct registry_answers *a = registry_answers_at(r, entry);
        a->of[i].len = (uint16_t)len;
        memmove(a->of[i].text, answer, len);
    }
    word[2] = third;
    word[0] = check_word(r, entry, i, fp0, second, third);
    word[1] = second;
}

/* Moves the start at `from` to `to`; a damaged one stays damaged. */
static void
move(struct registry *r, uint32_t entry, int to, int from)
{
    _Atomic uint64_t *word = words(r, entry, from);
    uint64_t          first = word[0], second = word[1], third = word[2];
    uint64_t fp0 = first ^ check_word(r, entry, from, 0, second, third);

    if (second != 0 && has_text(form_of(second))) {
        struct registry_answers *a = registry_answers_at(r, entry);
        put(r, entry, to, fp0, second, third, a->of[from].text,
            a->of[from].len);
    } else {
        put(r, entry, to, fp0, second, third, NULL, 0);
    }
}

/* The last place in use moves to the one that becomes free. */
static void
erase(struct registry *r, uint32_t entry, int i)
{
    int last = i;

    while (last < REGISTRY_STARTS - 1 && !is_free(r, entry, last + 1))
        last++;
    if (last != i)
        move(r, entry, i, last);
    words(r, entry, last)[1] = 0;
}

/* The place of a fingerprint, REGISTRY_STARTS if it has none. */
static int
place(struct registry *r, uint32_t entry, const uint64_t fp[2])
{
    for (int i = 0; i < REGISTRY_STARTS; i++) {
        _Atomic uint64_t *word = words(r, entry, i);
        uint64_t          second = word[1], third = word[2];
        if (second == 0)
            break;
        if (second >> PRINT_SHIFT == fp[1] >> PRINT_SHIFT &&
            form_of(second) != FORM_STOPPED &&
            word[0] == check_word(r, entry, i, fp[0], second, third))
            return i;
    }
    return REGISTRY_STARTS;
}

/* The first free place, or that of the oldest start; REGISTRY_STARTS if all
 * are newer. */
static int
make_place(struct registry *r, uint32_t entry, uint64_t number)
{
    uint64_t oldest = UINT64_MAX;
    int      at = REGISTRY_STARTS;

    for (int i = 0; i < REGISTRY_STARTS; i++) {
        if (is_free(r, entry, i))
            return i;
        uint64_t n = number_of(words(r, entry, i)[2]);
        if (n < oldest) {
            oldest = n;
            at = i;
        }
    }
    return oldest <= number ? at : REGISTRY_STARTS;
}

static void
set(struct registry *r, uint32_t entry, const uint64_t fp[2], unsigned form,
    unsigned slot, uint64_t number, int32_t id, const char *answer, size_t len)
{
    int      i = place(r, entry, fp);
    uint64_t second = fp[1] >> PRINT_SHIFT << PRINT_SHIFT |
        (uint64_t)form << FORM_SHIFT | (uint32_t)id;
    uint64_t third = (uint64_t)slot << SLOT_SHIFT | number_of(number);

    if (len > REGISTRY_ANSWER_MAX) {
        if (i < REGISTRY_STARTS)
            erase(r, entry, i);
        return;
    }
    if (i == REGISTRY_STARTS)
        i = make_place(r, entry, number_of(number));
    if (i < REGISTRY_STARTS)
        put(r, entry, i, fp[0], second, third, answer, len);
}

enum registry_start_state
registry_start_find(struct registry *r, uint32_t entry, const uint64_t fp[2],
    struct registry_start *out)
{
    int i = place(r, entry, fp);

    out->state = REGISTRY_START_UNKNOWN;
    out->len = 0;
    /* A former owner that erases a start may move this one meanwhile. */
    if (i == REGISTRY_STARTS)
        i = place(r, entry, fp);
    if (i == REGISTRY_STARTS)
        return out->state;
    _Atomic uint64_t *word = words(r, entry, i);
    uint64_t          second = word[1], third = word[2];
    enum form         f = form_of(second);
    out->slot = (unsigned)(third >> SLOT_SHIFT);
    out->number = number_of(third);
    if (is_draft(f) || is_known(f)) {
        unsigned status = (unsigned)f - (is_known(f) ? FORM_KNOWN : FORM_DRAFT);
        if (status != OTHER_TEXT) {
            out->len = put_simple(
                out->answer, sizeof out->answer, id_of(second), status);
        } else {
            struct registry_answers *a = registry_answers_at(r, entry);
            out->len = a->of[i].len;
            if (out->len > REGISTRY_ANSWER_MAX)
                out->len = 0;
            memcpy(out->answer, a->of[i].text, out->len);
        }
    }
    /* A write of another process in between has changed what was read. */
    if (place(r, entry, fp) != i || word[1] != second)
        return out->state;
    out->state = is_known(f) ? REGISTRY_START_KNOWN
        : is_draft(f)        ? REGISTRY_START_DRAFT
        : f == FORM_ASKED    ? REGISTRY_START_ASKED
                             : REGISTRY_START_UNKNOWN;
    return out->state;
}

void
registry_start_ask(struct registry *r, uint32_t entry, const uint64_t fp[2],
    unsigned slot, uint64_t number)
{
    set(r, entry, fp, FORM_ASKED, slot, number, 0, NULL, 0);
}

void
registry_start_draft(struct registry *r, uint32_t entry, const uint64_t fp[2],
    unsigned slot, uint64_t number, int32_t id, const char *answer, size_t len)
{
    set(r, entry, fp, FORM_DRAFT + status_of(id, answer, len), slot, number, id,
        answer, len);
}

void
registry_start_know(struct registry *r, uint32_t entry, const uint64_t fp[2],
    uint64_t number, int32_t id, const char *answer, size_t len)
{
    set(r, entry, fp, FORM_KNOWN + status_of(id, answer, len), 0, number, id,
        answer, len);
}

void
registry_start_drop(
    struct registry *r, uint32_t entry, const uint64_t fp[2], uint64_t number)
{
    int i = place(r, entry, fp);

    if (i < REGISTRY_STARTS && !is_known(form_of(words(r, entry, i)[1])) &&
        number_of(words(r, entry, i)[2]) == number_of(number))
        erase(r, entry, i);
}

/* False if there was none. */
static bool
stop(struct registry *r, uint32_t entry, int32_t id, uint64_t number)
{
    bool found = false;

    for (int i = 0; i < REGISTRY_STARTS && !is_free(r, entry, i);) {
        _Atomic uint64_t *word = words(r, entry, i);
        uint64_t          second = word[1];
        if (is_known(form_of(second)) && id_of(second) == id &&
            number_of(word[2]) < number) {
            erase(r, entry, i);
            found = true;
        } else {
            i++;
        }
    }
    return found;
}

void
registry_start_stop(
    struct registry *r, uint32_t entry, int32_t id, uint64_t number)
{
    stop(r, entry, id, number);
}

/* --- recovery ------------------------------------------------------------ */

/* Whether a stop of this transaction was read that is later than number. */
static bool
stopped(struct registry *r, uint32_t entry, int32_t id, uint64_t number)
{
    for (int i = 0; i < REGISTRY_STARTS && !is_free(r, entry, i); i++) {
        _Atomic uint64_t *word = words(r, entry, i);
        if (form_of(word[1]) == FORM_STOPPED && id_of(word[1]) == id &&
            number_of(word[2]) > number)
            return true;
    }
    return false;
}

void
registry_start_recover(struct registry *r, uint32_t entry, const uint64_t fp[2],
    uint64_t number, int32_t id, const char *answer, size_t len, bool add)
{
    struct registry_start there;

    if (!registry_lock(r))
        return;
    registry_start_find(r, entry, fp, &there);
    if (there.state == REGISTRY_START_UNKNOWN
            ? add && !stopped(r, entry, id, number)
            : number_of(number) == there.number ||
                (add && number_of(number) > there.number &&
                    !stopped(r, entry, id, number)))
        registry_start_know(r, entry, fp, number, id, answer, len);
    registry_unlock(r);
}

void
registry_start_recover_stop(
    struct registry *r, uint32_t entry, int32_t id, uint64_t number, bool add)
{
    if (!registry_lock(r))
        return;
    /* If its start was not read yet, it may stand in the journal of another
     * slot. */
    if (!stop(r, entry, id, number) && add &&
        !stopped(r, entry, id, number - 1)) {
        int i = make_place(r, entry, number_of(number));
        if (i < REGISTRY_STARTS)
            put(r, entry, i, 0,
                (uint64_t)FORM_STOPPED << FORM_SHIFT | (uint32_t)id,
                number_of(number), NULL, 0);
    }
    registry_unlock(r);
}

/* --- records ------------------------------------------------------------- */

#define KEYS_LEN 16

/* Words of the forms: their numbers may change, and what they mean stays. */
static const char *
form_word(enum form f)
{
    return f == FORM_ASKED ? "asked" : is_draft(f) ? "draft" : "known";
}

void
registry_starts_write(struct registry *r, uint32_t entry, struct buf *out)
{
    for (int i = 0; i < REGISTRY_STARTS && !is_free(r, entry, i); i++) {
        struct registry_start copy;
        _Atomic uint64_t     *word = words(r, entry, i);
        uint64_t              first = word[0], second = word[1];
        uint64_t              third = word[2];
        enum form             f = form_of(second);
        char                  key[KEYS_LEN];

        if (second == 0 || (f != FORM_ASKED && !is_draft(f) && !is_known(f)))
            continue;
        const uint64_t fp[2] = {
            first ^ check_word(r, entry, i, 0, second, third), second};
        if (registry_start_find(r, entry, fp, &copy) == REGISTRY_START_UNKNOWN)
            continue;
        const uint64_t list[5] = {fp[0], second >> PRINT_SHIFT, copy.slot,
            copy.number, (uint32_t)id_of(second)};
        snprintf(key, sizeof key, "%s%d", form_word(f), i);
        fields_put_list(out, key, list, 5);
        snprintf(key, sizeof key, "answer%d", i);
        if (copy.len > 0)
            fields_put_bytes(out, key, copy.answer, copy.len);
    }
}

void
registry_starts_read(struct registry *r, uint32_t entry, struct fields *f)
{
    static const char *const words[] = {"asked", "draft", "known"};

    registry_starts_clear(r, entry);
    for (int i = 0; i < REGISTRY_STARTS; i++)
        for (unsigned w = 0; w < 3; w++) {
            char     key[KEYS_LEN];
            uint64_t v[5];
            snprintf(key, sizeof key, "%s%d", words[w], i);
            if (!fields_list(f, key, v, 5) || v[1] >> (64 - PRINT_SHIFT) != 0 ||
                v[2] >> 8 != 0 || number_of(v[3]) != v[3] || v[4] > UINT32_MAX)
                continue;
            const uint64_t fp[2] = {v[0], v[1] << PRINT_SHIFT};
            snprintf(key, sizeof key, "answer%d", i);
            const struct field *a = fields_find(f, key);
            const char         *answer = a != NULL ? a->value : "";
            size_t              len = a != NULL ? a->len : 0;
            int32_t             id = (int32_t)(uint32_t)v[4];
            if (w == 0)
                registry_start_ask(r, entry, fp, (unsigned)v[2], v[3]);
            else if (w == 1)
                registry_start_draft(
                    r, entry, fp, (unsigned)v[2], v[3], id, answer, len);
            else
                registry_start_know(r, entry, fp, v[3], id, answer, len);
        }
}

void
registry_starts_clear(struct registry *r, uint32_t entry)
{
    if (!is_free(r, entry, REGISTRY_STARTS_NEAR - 1))
        memset(registry_far_starts_at(r, entry), 0,
            sizeof(struct registry_far_starts));
    memset(registry_starts_at(r, entry), 0, sizeof(struct registry_starts));
}
