/*
 * shm_state: what of a segment the segment of another program takes over, as
 * records (fields.h).
 *
 * The old master writes, the new one reads before it has started a worker. The
 * segments are never mapped by the same process: their layouts may differ. The
 * records are of these kinds:
 *
 *   segment    numbers of the whole daemon
 *   slot       what a worker slot keeps when its process ends
 *   refusal    a refused handshake
 *   counter, histogram                          (stats.h)
 *   penalties, penalty                          (penalty.h)
 *   tickets                                     (ticket.h)
 *   entry                                       (registry_state.h)
 */
#ifndef COMMON_SHM_STATE_H
#define COMMON_SHM_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "fields.h"
#include "shm.h"

/* The numbers that two segments draw at the same time, while slots move, must
 * not meet: the new segment's begin so far above those of the old one. */
#define SHM_STATE_NUMBERS (UINT64_C(1) << 26) /* 67 million events */

/* Everything but the entries. rows: of the table of penalties, from the
 * configuration, since the segment's own number is not trusted. */
void shm_state_write(const struct shm *s, uint32_t rows, struct buf *out);
/* The counters alone, which the workers of the old program still change until
 * they end. */
void shm_state_write_counters(const struct shm *s, struct buf *out);
/* One entry of the registry; false if it is free, or has no state. */
bool shm_state_write_entry(const struct shm *s, uint32_t i, struct buf *out);

/* Takes one of these records, of any kind. False if it is of no kind known
 * here, or the registry had no room for it. */
bool shm_state_read(struct shm *s, struct fields *f);
/* `counter` and `histogram` only, by the new master when workers already run;
 * s->before is written by the master alone. */
bool shm_state_read_counters(struct shm *s, struct fields *f);
/* An `entry`, by a worker: index of the entry, without an owner. */
enum registry_result shm_state_read_entry(
    struct shm *s, struct fields *f, uint32_t *entry);

#endif
