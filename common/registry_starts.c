/* registry_starts: the last starts of each identity and their answers. See
 * registry_starts.h. */
#include "registry_starts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hash.h"
#include "registry_answer.h"
#include "registry_layout.h"

/* The form of a start, four bits of its second word. */
enum form {
    FORM_NONE, /* a word of zero: the place is free; WRITING: it is written */
    FORM_ASKED,
    FORM_STOPPED, /* recovery: the transaction with this id has ended */
    FORM_DRAFT = 4,
    FORM_KNOWN = 10
};

/* An answer that is a number (registry_answer.h) takes no memory beside the
 * words. Of a START or STOP it stands in the forms behind FORM_DRAFT and
 * FORM_KNOWN, the last of which stands for any other text. An EVENT has the
 * EVENT bit, and its number in the place of the transaction id. */
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
struct table {
    struct registry_starts     *near;
    struct registry_far_starts *far;
    struct registry_answers    *answers;
};

static struct table
table_of(struct registry *r, uint32_t entry)
{
    return (struct table){registry_starts_at(r, entry),
        registry_far_starts_at(r, entry), registry_answers_at(r, entry)};
}

/* The three words of place i. The places in use are the first ones, so the far
 * table is not touched while there is room in the near one. */
static _Atomic uint64_t *
words(const struct table *t, int i)
{
    return i < REGISTRY_STARTS_NEAR ? t->near->word[i]
                                    : t->far->word[i - REGISTRY_STARTS_NEAR];
}

static bool
is_free(const struct table *t, int i)
{
    return words(t, i)[1] == 0;
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
has_text(uint64_t second, uint64_t third)
{
    enum form f = form_of(second);

    return (third & EVENT) == 0 &&
        (f == FORM_DRAFT + OTHER_TEXT || f == FORM_KNOWN + OTHER_TEXT);
}

static int32_t
id_of(uint64_t second)
{
    return (int32_t)(uint32_t)second;
}

static unsigned
slot_of(uint64_t third)
{
    return third >> SLOT_SHIFT & 255;
}

static enum registry_start_kind
kind_of(uint64_t third)
{
    return (enum registry_start_kind)(third >> KIND_SHIFT);
}

static uint64_t
number_of(uint64_t third)
{
    return third & (EVENT - 1);
}

static enum registry_answer_form
answer_form(enum registry_start_kind kind)
{
    return kind == REGISTRY_START_STOP ? REGISTRY_ANSWER_STOP
                                       : REGISTRY_ANSWER_START;
}

/* The answer of place i, as text. */
static size_t
put_answer(
    char *out, const struct table *t, int i, uint64_t second, uint64_t third)
{
    enum form f = form_of(second);

    if ((third & EVENT) != 0)
        return registry_answer_put(
            out, REGISTRY_ANSWER_EVENT, 0, (uint32_t)id_of(second));
    if (!has_text(second, third))
        return registry_answer_put(out, answer_form(kind_of(third)),
            id_of(second),
            (unsigned)f - (is_known(f) ? FORM_KNOWN : FORM_DRAFT));
    size_t n = t->answers->of[i].len;
    if (n > REGISTRY_ANSWER_MAX)
        return 0;
    memcpy(out, t->answers->of[i].text, n);
    return n;
}

/* Spreads the bits of a word: the final steps of splitmix64. */
static uint64_t
spread(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t
check_word(
    const struct table *t, int i, uint64_t fp0, uint64_t second, uint64_t third)
{
    uint64_t h = spread(second) ^ spread(~third);

    if (has_text(second, third)) {
        size_t len = t->answers->of[i].len;
        if (len > REGISTRY_ANSWER_MAX)
            len = 0;
        h ^= hash_sum(t->answers->of[i].text, len, 2);
    }
    return fp0 ^ h;
}

static void
put(const struct table *t, int i, uint64_t fp0, uint64_t second, uint64_t third,
    const char *answer, size_t len)
{
    _Atomic uint64_t *word = words(t, i);

    /* Not 0, because another process that searches would stop at a free
       place. */
    word[1] = WRITING;
    if (has_text(second, third)) {
        t->answers->of[i].len = (uint16_t)len;
        if (len > 0)
            memmove(t->answers->of[i].text, answer, len);
    }
    word[2] = third;
    word[0] = check_word(t, i, fp0, second, third);
    word[1] = second;
}

/* Moves the start at `from` to `to`; a damaged one stays damaged. */
static void
move(const struct table *t, int to, int from)
{
    _Atomic uint64_t *word = words(t, from);
    uint64_t          first = word[0], second = word[1], third = word[2];
    uint64_t          fp0 = first ^ check_word(t, from, 0, second, third);

    put(t, to, fp0, second, third, t->answers->of[from].text,
        has_text(second, third) ? t->answers->of[from].len : 0);
}

/* The last place in use moves to the one that becomes free. */
static void
erase(const struct table *t, int i)
{
    int last = i;

    while (last < REGISTRY_STARTS - 1 && !is_free(t, last + 1))
        last++;
    if (last != i)
        move(t, i, last);
    words(t, last)[1] = 0;
}

/* The place of a fingerprint; REGISTRY_STARTS if it is not there. */
static int
place(const struct table *t, const uint64_t fp[2])
{
    for (int i = 0; i < REGISTRY_STARTS; i++) {
        _Atomic uint64_t *word = words(t, i);
        uint64_t          second = word[1], third = word[2];
        if (second == 0)
            break;
        if (second >> PRINT_SHIFT == fp[1] >> PRINT_SHIFT &&
            form_of(second) != FORM_STOPPED &&
            word[0] == check_word(t, i, fp[0], second, third))
            return i;
    }
    return REGISTRY_STARTS;
}

/* The place for a new one: a free one, or that of the oldest one that may go;
 * REGISTRY_STARTS if all are newer. */
static int
make_place(
    const struct table *t, enum registry_start_kind kind, uint64_t number)
{
    uint64_t oldest = UINT64_MAX, oldest_stop = UINT64_MAX;
    int      at = REGISTRY_STARTS, stop_at = REGISTRY_STARTS, stops = 0;

    for (int i = 0; i < REGISTRY_STARTS; i++) {
        if (i == REGISTRY_STARTS_NEAR &&
            (stops > 1 || (stops > 0 && kind == REGISTRY_START_STOP)))
            return oldest_stop <= number ? stop_at : REGISTRY_STARTS;
        if (is_free(t, i))
            return i;
        uint64_t third = words(t, i)[2];
        uint64_t n = number_of(third);
        if (n < oldest) {
            oldest = n;
            at = i;
        }
        if (kind_of(third) != REGISTRY_START_STOP)
            continue;
        stops++;
        if (n < oldest_stop) {
            oldest_stop = n;
            stop_at = i;
        }
    }
    return oldest <= number ? at : REGISTRY_STARTS;
}

/* form: FORM_ASKED, FORM_DRAFT or FORM_KNOWN. */
static void
set(struct registry *r, uint32_t entry, enum registry_start_kind kind,
    const uint64_t fp[2], unsigned form, unsigned slot, uint64_t number,
    int32_t id, const char *answer, size_t len)
{
    struct table  table = table_of(r, entry);
    struct table *t = &table;
    int           i = place(t, fp);
    uint64_t      third = (uint64_t)kind << KIND_SHIFT |
        (uint64_t)(slot & 255) << SLOT_SHIFT | number_of(number);
    int event = -1;

    if (len > REGISTRY_ANSWER_MAX) {
        if (i < REGISTRY_STARTS)
            erase(t, i);
        return;
    }
    if (form != FORM_ASKED && kind == REGISTRY_START)
        event = registry_answer_number(REGISTRY_ANSWER_EVENT, 0, answer, len);
    if (event >= 0) {
        third |= EVENT;
        id = event;
    } else if (form != FORM_ASKED) {
        int status = registry_answer_number(answer_form(kind), id, answer, len);
        form += status >= 0 ? (unsigned)status : OTHER_TEXT;
    }
    uint64_t second = fp[1] >> PRINT_SHIFT << PRINT_SHIFT |
        (uint64_t)form << FORM_SHIFT | (uint32_t)id;
    if (i == REGISTRY_STARTS)
        i = make_place(t, kind, number_of(number));
    if (i < REGISTRY_STARTS)
        put(t, i, fp[0], second, third, answer, len);
}

enum registry_start_state
registry_start_find(struct registry *r, uint32_t entry, const uint64_t fp[2],
    struct registry_start *out)
{
    struct table  table = table_of(r, entry);
    struct table *t = &table;
    int           i = place(t, fp);

    out->state = REGISTRY_START_UNKNOWN;
    out->len = 0;
    /* A former owner that removes a start may have moved this one meanwhile. */
    if (i == REGISTRY_STARTS)
        i = place(t, fp);
    if (i == REGISTRY_STARTS)
        return out->state;
    _Atomic uint64_t *word = words(t, i);
    uint64_t          second = word[1], third = word[2];
    enum form         f = form_of(second);
    out->slot = slot_of(third);
    out->number = number_of(third);
    if (is_draft(f) || is_known(f))
        out->len = put_answer(out->answer, t, i, second, third);
    /* Another process has changed the start while it was read. */
    if (place(t, fp) != i || word[1] != second)
        return out->state;
    out->state = is_known(f) ? REGISTRY_START_KNOWN
        : is_draft(f)        ? REGISTRY_START_DRAFT
        : f == FORM_ASKED    ? REGISTRY_START_ASKED
                             : REGISTRY_START_UNKNOWN;
    return out->state;
}

/* True if a place holds a KNOWN start of the given kind and transaction. */
static bool
is_of(const struct table *t, int i, enum registry_start_kind kind, int32_t id)
{
    _Atomic uint64_t *word = words(t, i);

    return is_known(form_of(word[1])) && (word[2] & EVENT) == 0 &&
        kind_of(word[2]) == kind && id_of(word[1]) == id;
}

/* Forgets the starts of the transaction from earlier events. False if there was
 * none. */
static bool
forget(const struct table *t, enum registry_start_kind kind, int32_t id,
    uint64_t number)
{
    bool found = false;

    for (int i = 0; i < REGISTRY_STARTS && !is_free(t, i);)
        if (is_of(t, i, kind, id) && number_of(words(t, i)[2]) < number) {
            erase(t, i);
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
    struct table t = table_of(r, entry);

    if (kind == REGISTRY_START)
        forget(&t, REGISTRY_START_STOP, id, number);
    set(r, entry, kind, fp, FORM_KNOWN, 0, number, id, answer, len);
}

void
registry_start_drop(
    struct registry *r, uint32_t entry, const uint64_t fp[2], uint64_t number)
{
    struct table  table = table_of(r, entry);
    struct table *t = &table;
    int           i = place(t, fp);

    if (i < REGISTRY_STARTS && !is_known(form_of(words(t, i)[1])) &&
        number_of(words(t, i)[2]) == number_of(number))
        erase(t, i);
}

void
registry_start_stop(
    struct registry *r, uint32_t entry, int32_t id, uint64_t number)
{
    struct table t = table_of(r, entry);

    forget(&t, REGISTRY_START, id, number);
}

/* --- recovery ------------------------------------------------------------ */

/* True if a stop of this transaction with a higher event number was read. */
static bool
stopped(const struct table *t, int32_t id, uint64_t number)
{
    for (int i = 0; i < REGISTRY_STARTS && !is_free(t, i); i++) {
        _Atomic uint64_t *word = words(t, i);
        if (form_of(word[1]) == FORM_STOPPED && id_of(word[1]) == id &&
            number_of(word[2]) > number)
            return true;
    }
    return false;
}

/* True if a later event has made this one obsolete: the stop of a start, or a
 * start with the transaction id of a stop. */
static bool
is_over(const struct table *t, enum registry_start_kind kind, int32_t id,
    uint64_t number)
{
    if (kind == REGISTRY_START)
        return stopped(t, id, number);
    for (int i = 0; i < REGISTRY_STARTS && !is_free(t, i); i++)
        if (is_of(t, i, REGISTRY_START, id) &&
            number_of(words(t, i)[2]) > number)
            return true;
    return false;
}

void
registry_start_recover(struct registry *r, uint32_t entry,
    enum registry_start_kind kind, const uint64_t fp[2], uint64_t number,
    int32_t id, const char *answer, size_t len, bool add)
{
    struct table          table = table_of(r, entry);
    struct table         *t = &table;
    struct registry_start there;

    if (!registry_lock(r))
        return;
    registry_start_find(r, entry, fp, &there);
    if (there.state == REGISTRY_START_UNKNOWN
            ? add && !is_over(t, kind, id, number)
            : number_of(number) == there.number ||
                (add && number_of(number) > there.number &&
                    !is_over(t, kind, id, number)))
        registry_start_know(r, entry, kind, fp, number, id, answer, len);
    registry_unlock(r);
}

void
registry_start_recover_stop(
    struct registry *r, uint32_t entry, int32_t id, uint64_t number, bool add)
{
    struct table  table = table_of(r, entry);
    struct table *t = &table;

    if (!registry_lock(r))
        return;
    /* If its start was not read yet, it may stand in the journal of another
     * slot. */
    if (!forget(t, REGISTRY_START, id, number) && add &&
        !stopped(t, id, number - 1)) {
        int i = make_place(t, REGISTRY_START, number_of(number));
        if (i < REGISTRY_STARTS)
            put(t, i, 0, (uint64_t)FORM_STOPPED << FORM_SHIFT | (uint32_t)id,
                number_of(number), NULL, 0);
    }
    registry_unlock(r);
}

/* --- records ------------------------------------------------------------- */

#define KEYS_LEN 16

/* The words of the forms in records: the numbers of forms may change, their
   words do not. */
static const char *
form_word(enum form f)
{
    return f == FORM_ASKED ? "asked" : is_draft(f) ? "draft" : "known";
}

void
registry_starts_write(struct registry *r, uint32_t entry, struct buf *out)
{
    struct table  table = table_of(r, entry);
    struct table *t = &table;

    for (int i = 0; i < REGISTRY_STARTS && !is_free(t, i); i++) {
        struct registry_start copy;
        _Atomic uint64_t     *word = words(t, i);
        uint64_t              first = word[0], second = word[1];
        uint64_t              third = word[2];
        enum form             f = form_of(second);
        char                  key[KEYS_LEN];

        if (second == 0 || (f != FORM_ASKED && !is_draft(f) && !is_known(f)))
            continue;
        const uint64_t fp[2] = {
            first ^ check_word(t, i, 0, second, third), second};
        if (registry_start_find(r, entry, fp, &copy) == REGISTRY_START_UNKNOWN)
            continue;
        /* An older program without kinds accepts no slot above 255, so it skips
         * records that are not starts. */
        const uint64_t list[5] = {fp[0], second >> PRINT_SHIFT,
            (uint64_t)kind_of(third) << 8 | copy.slot, copy.number,
            (third & EVENT) == 0 ? (uint32_t)id_of(second) : 0};
        snprintf(key, sizeof key, "%s%d", form_word(f), i);
        fields_put_list(out, key, list, 5);
        snprintf(key, sizeof key, "answer%d", i);
        if (copy.len > 0)
            fields_put_bytes(out, key, copy.answer, copy.len);
    }
}

/* The place in a key such as known7; REGISTRY_STARTS if it is none of word. */
static int
place_of(const char *key, const char *word)
{
    size_t n = strlen(word);
    int    i = 0;

    if (strncmp(key, word, n) != 0 || key[n] == '\0')
        return REGISTRY_STARTS;
    for (const char *p = key + n; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || i >= REGISTRY_STARTS)
            return REGISTRY_STARTS;
        i = 10 * i + (*p - '0');
    }
    return i < REGISTRY_STARTS ? i : REGISTRY_STARTS;
}

static void
read_start(struct registry *r, uint32_t entry, struct fields *f,
    const char *word, int i)
{
    char     key[KEYS_LEN];
    uint64_t v[5];

    snprintf(key, sizeof key, "%s%d", word, i);
    if (!fields_list(f, key, v, 5) || v[1] >> (64 - PRINT_SHIFT) != 0 ||
        v[2] >> 8 > REGISTRY_START_STOP || number_of(v[3]) != v[3] ||
        v[4] > UINT32_MAX)
        return;
    const uint64_t fp[2] = {v[0], v[1] << PRINT_SHIFT};
    snprintf(key, sizeof key, "answer%d", i);
    const struct field      *a = fields_find(f, key);
    const char              *answer = a != NULL ? a->value : "";
    size_t                   len = a != NULL ? a->len : 0;
    int32_t                  id = (int32_t)(uint32_t)v[4];
    unsigned                 slot = v[2] & 255;
    enum registry_start_kind kind = (enum registry_start_kind)(v[2] >> 8);

    if (strcmp(word, "asked") == 0)
        registry_start_ask(r, entry, kind, fp, slot, v[3]);
    else if (strcmp(word, "draft") == 0)
        registry_start_draft(r, entry, kind, fp, slot, v[3], id, answer, len);
    else
        registry_start_know(r, entry, kind, fp, v[3], id, answer, len);
}

/* Most records have none of the keys, so the fields are looked at instead of
 * the keys, which would be searched for one by one. */
void
registry_starts_read(struct registry *r, uint32_t entry, struct fields *f)
{
    static const char *const words[] = {"asked", "draft", "known"};

    registry_starts_clear(r, entry);
    for (unsigned k = 0; k < f->n; k++)
        for (unsigned w = 0; w < 3; w++) {
            int i = place_of(f->of[k].key, words[w]);
            if (i < REGISTRY_STARTS)
                read_start(r, entry, f, words[w], i);
        }
}

void
registry_starts_clear(struct registry *r, uint32_t entry)
{
    struct table t = table_of(r, entry);

    if (!is_free(&t, REGISTRY_STARTS_NEAR - 1))
        memset(t.far, 0, sizeof *t.far);
    memset(t.near, 0, sizeof *t.near);
}
