/*
 * histogram: how long things took, in buckets that grow with the value.
 *
 * Microseconds, up to over an hour. Each power of two is cut in 64, so a
 * percentile is at most 1.6 % above the truth, whatever the magnitude.
 * One process writes, any may read meanwhile: the cells are relaxed
 * atomics, and a sum is a plain addition of cells.
 */
#ifndef SIM_HISTOGRAM_H
#define SIM_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_SUB 64u
#define HISTOGRAM_CELLS (HISTOGRAM_SUB + (32u - 6u) * HISTOGRAM_SUB)

struct histogram {
    _Atomic uint64_t cell[HISTOGRAM_CELLS];
    _Atomic uint64_t count;
    _Atomic uint64_t sum; /* microseconds */
    _Atomic uint64_t max;
};

void histogram_add(struct histogram *h, uint64_t us);
/* into += from */
void histogram_merge(struct histogram *into, const struct histogram *from);
/* part in 0..1; microseconds, the upper edge of the bucket; 0 if empty. */
uint64_t histogram_at(const struct histogram *h, double part);

#endif
