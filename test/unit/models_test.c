/* registry_models: a bounded table of vendors and models. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry_fix.h"
#include "unit.h"

static struct registry_model *
rows(struct registry *r)
{
    return registry_table(r, REGISTRY_MODEL_ROWS);
}

static uint32_t
entry_of(struct registry *r, const char *name)
{
    return registry_find(r, name, strlen(name), true);
}

static struct registry_model
row_of(struct registry *r, uint32_t entry)
{
    struct registry_model m;

    registry_model_read(r, registry_model_of(r, entry), &m);
    return m;
}

static void
counts_each_identity_once(void)
{
    struct registry *r = fix_registry(8);
    uint32_t         a = entry_of(r, "A"), b = entry_of(r, "B");

    CHECK_EQ(registry_model_of(r, a), REGISTRY_MODEL_UNKNOWN);
    CHECK_EQ(row_of(r, a).points, 0);
    registry_model_set(r, a, "Vendor", "Model");
    registry_model_set(r, b, "Vendor", "Model");
    registry_model_set(r, b, "Vendor", "Model");
    CHECK_EQ(registry_model_of(r, a), registry_model_of(r, b));
    CHECK_EQ(row_of(r, a).points, 2);
    CHECK(strcmp(row_of(r, a).vendor, "Vendor") == 0);
    CHECK(strcmp(row_of(r, a).model, "Model") == 0);
    registry_model_set(r, b, "Vendor", "Mode");
    CHECK_EQ(row_of(r, a).points, 1);
    registry_model_set(r, b, "", "");
    CHECK_EQ(registry_model_of(r, b), REGISTRY_MODEL_UNKNOWN);
    CHECK_EQ(row_of(r, a).points, 1);
}

/* An identity that reports another model at each boot occupies one row. */
static void
rows_are_used_again(void)
{
    struct registry *r = fix_registry(8);
    uint32_t         a = entry_of(r, "A"), used = 0;
    char             name[16];

    for (unsigned i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "M%u", i);
        registry_model_set(r, a, "V", name);
        CHECK(strcmp(row_of(r, a).model, name) == 0);
    }
    for (unsigned i = 0; i < REGISTRY_MODELS; i++)
        used += rows(r)[i].points;
    CHECK_EQ(used, 1);
}

static void
a_full_table_has_other(void)
{
    struct registry *r = fix_registry(4096);
    uint32_t         others = 0, sum = 0;
    char             name[16];

    for (unsigned i = 0; i < 4096; i++) {
        snprintf(name, sizeof name, "M%u", i);
        uint32_t e = entry_of(r, name);
        registry_model_set(r, e, "V", name);
        if (registry_model_of(r, e) == REGISTRY_MODEL_OTHER)
            others++;
        else
            CHECK(strcmp(row_of(r, e).model, name) == 0);
    }
    CHECK(row_of(r, 0).points == 1);
    for (unsigned i = 0; i < REGISTRY_MODELS; i++)
        sum += rows(r)[i].points;
    CHECK_EQ(sum + others, 4096);
    CHECK(sum > REGISTRY_MODELS * 9 / 10);
    /* A new identity gets the entry of another identity, which is forgotten.
     * The row of the former one does not count it any more. */
    for (unsigned i = 0; i < 4096; i++) {
        snprintf(name, sizeof name, "N%u", i);
        CHECK_EQ(
            registry_model_of(r, entry_of(r, name)), REGISTRY_MODEL_UNKNOWN);
    }
    for (unsigned i = 0; i < REGISTRY_MODELS; i++)
        CHECK_EQ(rows(r)[i].points, 0);
}

static void
texts_can_be_shown(void)
{
    struct registry *r = fix_registry(8);
    uint32_t         a = entry_of(r, "A");
    char             text[REGISTRY_MODEL_MAX + 4];

    /* The text is cut before the character that does not fit. */
    memset(text, 'x', sizeof text);
    memcpy(text + REGISTRY_MODEL_MAX - 1, "\xc3\xbc", 3);
    registry_model_set(r, a, text, "a\tb\x1b\xff");
    CHECK_EQ(strlen(row_of(r, a).vendor), REGISTRY_MODEL_MAX - 1);
    CHECK(strcmp(row_of(r, a).model, "a?b??") == 0);
    /* These numbers were changed by a stray store. */
    struct registry_model *m = rows(r) + registry_model_of(r, a);
    memset(m - 1, 0xff, sizeof *m);
    CHECK_EQ(strlen(row_of(r, a).model), REGISTRY_MODEL_MAX + 1);
    *(_Atomic uint16_t *)registry_row(r, REGISTRY_MODEL_NUMBERS, a) = 60000;
    CHECK_EQ(registry_model_of(r, a), REGISTRY_MODEL_UNKNOWN);
    CHECK_EQ(row_of(r, a).points, 0);
}

int
main(void)
{
    counts_each_identity_once();
    rows_are_used_again();
    a_full_table_has_other();
    texts_can_be_shown();
    return unit_done();
}
