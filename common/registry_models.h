/*
 * registry_models: the vendors and models of charge points, in shared memory.
 *
 * A BootNotification names the vendor and the model. Each pair is a row of a
 * table of REGISTRY_MODELS rows, and each identity has the number of its row,
 * in two bytes. An identity counts in one row, so a charge point that changes
 * its names with each boot occupies one row. A row without identities is used
 * again. If no row is free for a pair, its identities have the row "other".
 *
 * Rows are written under the registry's lock, for well under a microsecond, and
 * read without it, so a text may be a mixture of two. A process that dies under
 * the lock leaves at most a row that counts one identity too many.
 */
#ifndef COMMON_REGISTRY_MODELS_H
#define COMMON_REGISTRY_MODELS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct registry;

#define REGISTRY_MODELS 1024
/* Bytes of a vendor or a model; others are cut. */
#define REGISTRY_MODEL_MAX 50

struct registry_model {
    _Atomic uint32_t points; /* identities that have this row */
    uint32_t         hash;
    char             vendor[REGISTRY_MODEL_MAX + 2]; /* NUL-terminated UTF-8 */
    char             model[REGISTRY_MODEL_MAX + 2];
};

/* The numbers of rows begin with 1. */
#define REGISTRY_MODEL_UNKNOWN 0u /* no BootNotification was seen */
#define REGISTRY_MODEL_OTHER (REGISTRY_MODELS + 1u)

/* Sets the row of an entry. Called by the owner of the entry, or at recovery.
 * The texts are NUL-terminated; if both are empty, the row becomes unknown.
 * Nothing changes if the lock is not free. */
void registry_model_set(
    struct registry *r, uint32_t entry, const char *vendor, const char *model);

/* The row of an entry: REGISTRY_MODEL_UNKNOWN to REGISTRY_MODEL_OTHER. */
unsigned registry_model_of(struct registry *r, uint32_t entry);

/* Copies a row, in printable form; the texts of unknown and other are empty. */
void registry_model_read(
    struct registry *r, unsigned row, struct registry_model *out);

/* Called when the entry is given to another identity, under the lock. */
void registry_model_clear(struct registry *r, uint32_t entry);

#endif
