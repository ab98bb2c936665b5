/*
 * shm_state: the state of a segment as records (fields.h), for the segment of
 * another program.
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

/* While slots move, two segments draw numbers, which must not be the same. So
 * the sequence of the new segment begins this far above the old one. */
#define SHM_STATE_NUMBERS (UINT64_C(1) << 26) /* 67 million events */

/* Writes everything except the entries. rows: of the table of penalties,
 * computed from the configuration, because the number in the segment is not
 * trusted. */
void shm_state_write(const struct shm *s, uint32_t rows, struct buf *out);
/* Writes only the counters, which the workers of the old program change until
 * they end. */
void shm_state_write_counters(const struct shm *s, struct buf *out);
/* Writes an entry of the registry; false if it is free, or has no state. */
bool shm_state_write_entry(const struct shm *s, uint32_t i, struct buf *out);

/* Reads one of these records, of any kind. False if its kind is unknown, or the
 * registry has no room for it. */
bool shm_state_read(struct shm *s, struct fields *f);
/* Reads `counter` and `histogram` only; false for other records. Called by the
 * new master when workers already run; only the master writes s->before. */
bool shm_state_read_counters(struct shm *s, struct fields *f);
/* Called by a worker: reads an `entry`, and returns the index of the entry,
   which has no owner. */
enum registry_result shm_state_read_entry(
    struct shm *s, struct fields *f, uint32_t *entry);

#endif
