/*
 * histogram: durations, in buckets that grow with the value.
 *
 * In microseconds, up to more than an hour. Each power of two is divided into
 * 64 buckets, so a percentile is at most 1.6 % too high, for small and large
 * values alike. One process writes, and any process may read meanwhile: the
 * cells are relaxed atomics, and two histograms are merged by adding their
 * cells.
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
/* Adds `from` to `into`. */
void histogram_merge(struct histogram *into, const struct histogram *from);
/* Returns the value, in microseconds, below which this part (0..1) of all
 * values lies: the upper edge of its bucket; 0 if the histogram is empty. */
uint64_t histogram_at(const struct histogram *h, double part);

#endif
