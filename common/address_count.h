/*
 * address_count: how many connections each address and each network has, over
 * all workers, in shared memory.
 *
 * Not a table of addresses but a sketch: every worker has two rows of cells, an
 * address has one cell in each row, and its count is the smaller of the two,
 * added up over the workers. The count is never too low. It is a little too
 * high if other addresses share both cells: by about the average number of
 * connections in a cell. For a limit of hundreds that does not matter. The
 * memory is fixed, and counting needs no allocation, no lock and no list to
 * walk.
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
    struct hash_key key;
    uint32_t        cells; /* cells of one row: a power of two, at most
                              65536 */
    uint32_t         slots;
    _Atomic uint32_t cell[]; /* [slots][ADDRESS_COUNT_ROWS][cells] */
};

/* Where an address or a network is counted. */
struct address_count_place {
    uint16_t cell[ADDRESS_COUNT_ROWS];
};

/* The bytes that the table needs for that many worker slots.
   address_count_init() is called once, on memory that is zero. */
size_t address_count_size(unsigned slots, uint64_t max_connections);
void   address_count_init(
      struct address_count *w, unsigned slots, uint64_t max_connections);

/* The place of an address or a network, in the form of address_pack(). kind:
 * any number; it keeps an address and a network with the same bytes apart. */
struct address_count_place address_count_find(
    const struct address_count *w, unsigned kind, const uint64_t addr[2]);

/* Count a connection of the worker slot that has begun, or has ended, and
 * forget all of the slot. Only the slot's own worker calls them. */
void address_count_enter(
    struct address_count *w, unsigned slot, struct address_count_place p);
void address_count_leave(
    struct address_count *w, unsigned slot, struct address_count_place p);
void address_count_clear(struct address_count *w, unsigned slot);

/* Adds the two counts of one worker slot to sum. After all slots the smaller of
 * the two sums is the number of connections. */
void address_count_add(const struct address_count *w, unsigned slot,
    struct address_count_place p, uint64_t sum[ADDRESS_COUNT_ROWS]);

#endif
