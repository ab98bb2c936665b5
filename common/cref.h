/*
 * cref: the name of one connection, by which other processes refer to it.
 *
 *   63      56 55            34 33                                0
 *   +---------+----------------+----------------------------------+
 *   |  slot   |     index      |        generation, low bits      |
 *   +---------+----------------+----------------------------------+
 *
 * slot: the worker that holds it. index: its place in that worker's slab,
 * so that the owner finds it without a table. generation: drawn from one
 * sequence (shm.sequence) for all connections of all workers, so that the next
 * connection in the same place has another cref. Two connections in one place
 * have the same name only if their generations differ by a multiple of 2^34,
 * which chance brings about once in 17 billion pairs; where that matters, the
 * whole generation is compared too (registry_adopt()). 0 is no connection.
 */
#ifndef COMMON_CREF_H
#define COMMON_CREF_H

#include <stdint.h>

typedef uint64_t cref;

#define CREF_SLOTS (1u << 8)
#define CREF_INDEXES (1u << 22)
#define CREF_GENERATION_BITS 34

static inline cref
cref_make(unsigned slot, uint32_t index, uint64_t generation)
{
    return (uint64_t)slot << 56 | (uint64_t)index << CREF_GENERATION_BITS |
        (generation & ((UINT64_C(1) << CREF_GENERATION_BITS) - 1));
}

static inline unsigned
cref_slot(cref c)
{
    return (unsigned)(c >> 56);
}

static inline uint32_t
cref_index(cref c)
{
    return (uint32_t)(c >> CREF_GENERATION_BITS) & (CREF_INDEXES - 1);
}

#endif
