/* histogram: durations. See histogram.h. */
#include "histogram.h"

static uint64_t
get(const _Atomic uint64_t *a)
{
    return atomic_load_explicit(a, memory_order_relaxed);
}

/* There is only one writer, so a load and a store are an addition. */
static void
add(_Atomic uint64_t *a, uint64_t n)
{
    atomic_store_explicit(a, get(a) + n, memory_order_relaxed);
}

static unsigned
cell_of(uint64_t us)
{
    if (us < HISTOGRAM_SUB)
        return (unsigned)us;
    if (us > UINT32_MAX)
        us = UINT32_MAX;
    unsigned shift = 63u - (unsigned)__builtin_clzll(us) - 6u;
    return HISTOGRAM_SUB * (shift + 1u) + (unsigned)(us >> shift) -
        HISTOGRAM_SUB;
}

static uint64_t
upper_edge(unsigned cell)
{
    if (cell < HISTOGRAM_SUB)
        return cell;
    unsigned shift = cell / HISTOGRAM_SUB - 1u;
    uint64_t base = (uint64_t)(cell % HISTOGRAM_SUB) + HISTOGRAM_SUB;
    return ((base + 1u) << shift) - 1u;
}

void
histogram_add(struct histogram *h, uint64_t us)
{
    add(&h->cell[cell_of(us)], 1);
    add(&h->count, 1);
    add(&h->sum, us);
    if (us > get(&h->max))
        atomic_store_explicit(&h->max, us, memory_order_relaxed);
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_CELLS; i++) {
        uint64_t n = get(&from->cell[i]);
        if (n > 0)
            add(&into->cell[i], n);
    }
    add(&into->count, get(&from->count));
    add(&into->sum, get(&from->sum));
    if (get(&from->max) > get(&into->max))
        atomic_store_explicit(
            &into->max, get(&from->max), memory_order_relaxed);
}

uint64_t
histogram_at(const struct histogram *h, double part)
{
    uint64_t total = 0, seen = 0, max = get(&h->max);

    for (unsigned i = 0; i < HISTOGRAM_CELLS; i++)
        total += get(&h->cell[i]);
    if (total == 0)
        return 0;
    uint64_t rank = (uint64_t)(part * (double)total + 0.999999);
    if (rank < 1)
        rank = 1;
    for (unsigned i = 0; i < HISTOGRAM_CELLS; i++) {
        seen += get(&h->cell[i]);
        if (seen >= rank) {
            uint64_t edge = upper_edge(i);
            return edge < max ? edge : max;
        }
    }
    return max;
}
