/*
 * registry_models: which vendor and model the charge points are, in shared
 * memory.
 *
 * A BootNotification names the vendor and the model. Each pair is one row of
 * a table of REGISTRY_MODELS, and each identity has the number of its row, two
 * bytes. An identity counts in one row, so a charge point that changes its
 * names with each boot occupies one row; a row in which none counts is used
 * again. If no row is free where a pair may stand, its identities have the row
 * "other".
 *
 * Rows are written under the registry's lock, for well under a microsecond, and
 * read without it: a text may be of two moments. A process that dies inside
 * leaves at most a row that counts one identity too many.
 */
#ifndef COMMON_REGISTRY_MODELS_H
#define COMMON_REGISTRY_MODELS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct registry;

#define REGISTRY_MODELS 1024
#define REGISTRY_MODEL_MAX                                                     \
    50 /* bytes of a vendor or a model; others are cut                         \
        */

struct registry_model {
    _Atomic uint32_t points; /* identities that have this row */
    uint32_t         hash;
    char             vendor[REGISTRY_MODEL_MAX + 2]; /* NUL-terminated UTF-8 */
    char             model[REGISTRY_MODEL_MAX + 2];
};

/* Numbers of rows begin with 1. */
#define REGISTRY_MODEL_UNKNOWN 0u /* no BootNotification was seen */
#define REGISTRY_MODEL_OTHER (REGISTRY_MODELS + 1u)

/* By the owner of the entry, or at recovery. NUL-terminated; with both empty,
 * the entry's row becomes unknown. Nothing changes if the lock is not free. */
void registry_model_set(
    struct registry *r, uint32_t entry, const char *vendor, const char *model);

/* The row of an entry: REGISTRY_MODEL_UNKNOWN to REGISTRY_MODEL_OTHER. */
unsigned registry_model_of(struct registry *r, uint32_t entry);

/* Copies a row, of which every character can be shown; unknown and other have
 * empty texts. */
void registry_model_read(
    struct registry *r, unsigned row, struct registry_model *out);

/* The entry is given to another identity. Under the lock. */
void registry_model_clear(struct registry *r, uint32_t entry);

#endif
