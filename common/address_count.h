/*
 * address_count: how many connections each address and each network has, over
 * all workers, in shared memory.
 *
 * Not a table of addresses but a sketch: every worker has two rows of cells,
 * an address has one cell in each row, and its count is the smaller of the
 * two, added up over the workers. It is never too low; where others share
 * both cells it is a little too high, by about one for each connection per
 * cell. For a limit of hundreds that does not matter, and it costs a fixed
 * amount: no allocation, no lock, no list to walk.
 *
 *   a worker alone writes its rows   (relaxed; readers may be one behind)
 *   a dead worker's rows             count for nothing: readers pass only
 *                                    the slots that have a process, and its
 *                                    successor clears them before it accepts
 *
 * Two workers that accept at the same time may each take the last place: the
 * limit can be passed by as many as there are workers.
 */
#ifndef COMMON_ADDRESS_COUNT_H
#define COMMON_ADDRESS_COUNT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "hash.h"

#define ADDRESS_COUNT_ROWS 2

struct address_count {
    struct hash_key  key;
    uint32_t         cells; /* of a row, a power of two, at most 65536 */
    uint32_t         slots;
    _Atomic uint32_t cell[]; /* [slots][ADDRESS_COUNT_ROWS][cells] */
};

/* Where an address or a network is counted. */
struct address_count_place {
    uint16_t cell[ADDRESS_COUNT_ROWS];
};

/* Bytes for that many worker slots; init, once, on memory that is zero. */
size_t address_count_size(unsigned slots, uint64_t max_connections);
void   address_count_init(
      struct address_count *w, unsigned slots, uint64_t max_connections);

/* kind: distinguishes addresses from networks of the same bytes. */
struct address_count_place address_count_find(
    const struct address_count *w, unsigned kind, const uint64_t addr[2]);

/* A connection of the slot has begun, or has ended. */
void address_count_enter(
    struct address_count *w, unsigned slot, struct address_count_place p);
void address_count_leave(
    struct address_count *w, unsigned slot, struct address_count_place p);
void address_count_clear(struct address_count *w, unsigned slot);

/* Of one slot. */
void address_count_add(const struct address_count *w, unsigned slot,
    struct address_count_place p, uint64_t sum[ADDRESS_COUNT_ROWS]);

#endif
