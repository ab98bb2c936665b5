/*
 * registry_state: an entry of the registry as a record, for the segment of
 * another program version.
 *
 * A record is one line `entry name=... generation=...` (fields.h) with the
 * whole state of an identity: its last connection, its StartTransactions and
 * their answers, its proof, the end of its certificate. It contains no owner: a
 * worker that takes over the connection calls registry_adopt() with the
 * generation, so that the identity is not claimed again.
 */
#ifndef COMMON_REGISTRY_STATE_H
#define COMMON_REGISTRY_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "fields.h"
#include "registry.h"

/* Appends the record of entry i. latest: its shm_latest(), 0 if there is none.
 * Takes no lock. False, with nothing appended, if the entry is free or damaged.
 */
bool registry_state_write(
    struct registry *r, uint32_t i, uint64_t latest, struct buf *out);

/* Makes or updates the entry that the record names. An entry with an owner, or
 * with a newer generation, is not changed. REGISTRY_UNKNOWN: the record is
 * damaged. *latest: the value that was written. */
enum registry_result registry_state_read(
    struct registry *r, struct fields *f, uint32_t *entry, uint64_t *latest);

#endif
