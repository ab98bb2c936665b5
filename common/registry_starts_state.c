/* registry_starts_state: starts as part of a record. See registry_starts.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "registry_places.h"

#define KEYS_LEN 24 /* bytes of "answer" and a number */

/* The words for the forms in records. They stay the same between versions; the
 * numbers of the forms may change. */
static const char *
form_word(enum form f)
{
    return f == FORM_ASKED ? "asked" : places_draft(f) ? "draft" : "known";
}

void
registry_starts_write(struct registry *r, uint32_t entry, struct buf *out)
{
    struct places  table = places_of(r, entry);
    struct places *t = &table;

    for (int i = 0; i < places_count(t) && !places_free(t, i); i++) {
        struct registry_start copy;
        _Atomic uint64_t     *word = places_words(t, i);
        uint64_t              first = word[0], second = word[1];
        uint64_t              third = word[2];
        enum form             f = places_form(second);
        char                  key[KEYS_LEN];

        if (second == 0 ||
            (f != FORM_ASKED && !places_draft(f) && !places_known(f)))
            continue;
        const uint64_t fp[2] = {
            first ^ places_check(t, i, 0, second, third), second};
        if (registry_start_find(r, entry, fp, &copy) == REGISTRY_START_UNKNOWN)
            continue;
        /* An older program without kinds accepts no slot above 255, so it skips
         * records that are not starts. */
        const uint64_t list[5] = {fp[0], second >> PRINT_SHIFT,
            (uint64_t)places_kind(third) << 8 | copy.slot, copy.number,
            (third & EVENT) == 0 ? (uint32_t)places_id(second) : 0};
        snprintf(key, sizeof key, "%s%d", form_word(f), i);
        fields_put_list(out, key, list, 5);
        snprintf(key, sizeof key, "answer%d", i);
        if (copy.len > 0)
            fields_put_bytes(out, key, copy.answer, copy.len);
    }
}

/* The place in a key such as known7; REGISTRY_STARTS if the key does not begin
 * with word. */
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
        v[2] >> 8 > REGISTRY_START_STOP || places_number(v[3]) != v[3] ||
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

/* Most records have none of these keys, so one loop over the fields is faster
 * than a search for each key. */
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
