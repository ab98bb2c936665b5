/*
 * registry_state: an entry of the registry as a record, for the segment of
 * another program version.
 *
 * One line `entry name=... generation=...` (fields.h) with everything that is
 * known about an identity: its last connection, its StartTransactions and their
 * answers, its proof, the end of its certificate. It has no owner: a worker
 * that takes over the connection calls registry_adopt() with the generation,
 * so the identity is not claimed again.
 */
#ifndef COMMON_REGISTRY_STATE_H
#define COMMON_REGISTRY_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "fields.h"
#include "registry.h"

/* Appends the record of entry i. latest: shm_latest() of it, 0 if there is
 * none. Takes no lock. False if the entry is free or damaged; then nothing was
 * appended. */
bool registry_state_write(
    struct registry *r, uint32_t i, uint64_t latest, struct buf *out);

/* Makes or updates the entry that the record names. One that has an owner, or
 * a newer generation, stays as it is. REGISTRY_UNKNOWN: the record is
 * damaged. *latest: as it was written. */
enum registry_result registry_state_read(
    struct registry *r, struct fields *f, uint32_t *entry, uint64_t *latest);

#endif
