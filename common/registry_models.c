/* registry_models: the vendors and models of charge points. See
 * registry_models.h. */
#include "registry_models.h"

#include <string.h>

#include "hash.h"
#include "printable.h"
#include "registry_layout.h"

#define PROBES 16 /* rows in which a pair may be */

static struct registry_model *
table(struct registry *r)
{
    return registry_table(r, REGISTRY_MODEL_ROWS);
}

/* The number of the entry's row. */
static _Atomic uint16_t *
number_of(struct registry *r, uint32_t entry)
{
    return registry_row(r, REGISTRY_MODEL_NUMBERS, entry);
}

static void
set_text(char out[REGISTRY_MODEL_MAX + 2], const char *text)
{
    size_t n = strnlen(text, REGISTRY_MODEL_MAX + 1);

    /* The text is cut between characters: a byte that continues a character
     * begins with the bits 10. */
    if (n > REGISTRY_MODEL_MAX) {
        n = REGISTRY_MODEL_MAX;
        while (n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80)
            n--;
    }
    memset(out, 0, REGISTRY_MODEL_MAX + 2);
    memcpy(out, text, n);
    printable_mask(out, n);
}

static bool
same(const struct registry_model *a, const struct registry_model *b)
{
    return a->hash == b->hash &&
        memcmp(a->vendor, b->vendor, sizeof a->vendor) == 0 &&
        memcmp(a->model, b->model, sizeof a->model) == 0;
}

/* Called with the lock. Finds the row of a pair, and counts one more identity
 * in it. */
static unsigned
take_row(struct registry *r, const struct registry_model *want)
{
    struct registry_model *rows = table(r), *unused = NULL;

    for (unsigned i = 0; i < PROBES; i++) {
        struct registry_model *m = &rows[(want->hash + i) % REGISTRY_MODELS];
        if (m->points > 0 && same(m, want)) {
            m->points++;
            return (unsigned)(m - rows) + 1;
        }
        if (m->points == 0 && unused == NULL)
            unused = m;
    }
    if (unused == NULL)
        return REGISTRY_MODEL_OTHER;
    unused->hash = want->hash;
    memcpy(unused->vendor, want->vendor, sizeof unused->vendor);
    memcpy(unused->model, want->model, sizeof unused->model);
    unused->points = 1;
    return (unsigned)(unused - rows) + 1;
}

void
registry_model_clear(struct registry *r, uint32_t entry)
{
    unsigned               row = registry_model_of(r, entry);
    struct registry_model *m = table(r) + row - 1;

    *number_of(r, entry) = REGISTRY_MODEL_UNKNOWN;
    if (row != REGISTRY_MODEL_UNKNOWN && row != REGISTRY_MODEL_OTHER &&
        m->points > 0)
        m->points--;
}

void
registry_model_set(
    struct registry *r, uint32_t entry, const char *vendor, const char *model)
{
    struct registry_model want = {0}, now;

    set_text(want.vendor, vendor);
    set_text(want.model, model);
    want.hash = (uint32_t)hash_sum(want.vendor, sizeof want.vendor,
        hash_sum(want.model, sizeof want.model, 0));
    registry_model_read(r, registry_model_of(r, entry), &now);
    if (now.points > 0 && same(&now, &want))
        return; /* the usual case */
    if (!registry_try_lock(r))
        return;
    bool     none = want.vendor[0] == '\0' && want.model[0] == '\0';
    unsigned row = none ? REGISTRY_MODEL_UNKNOWN : take_row(r, &want);
    registry_model_clear(r, entry);
    *number_of(r, entry) = (uint16_t)row;
    registry_unlock(r);
}

unsigned
registry_model_of(struct registry *r, uint32_t entry)
{
    unsigned row = *number_of(r, entry);

    return row <= REGISTRY_MODEL_OTHER ? row : REGISTRY_MODEL_UNKNOWN;
}

void
registry_model_read(
    struct registry *r, unsigned row, struct registry_model *out)
{
    *out = (struct registry_model){0};
    if (row == REGISTRY_MODEL_UNKNOWN || row >= REGISTRY_MODEL_OTHER)
        return;
    memcpy(out, table(r) + row - 1, sizeof *out);
    out->vendor[REGISTRY_MODEL_MAX + 1] = '\0';
    out->model[REGISTRY_MODEL_MAX + 1] = '\0';
    printable_mask(out->vendor, strlen(out->vendor));
    printable_mask(out->model, strlen(out->model));
}
