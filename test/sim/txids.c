/* txids: the transaction ids that the whole fleet has received. See txids.h. */
#include "txids.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#define SLOTS (1u << 24)
#define PROBES 64u

/* A slot has an id or 0. Every process may take a slot by one compare-and-swap,
 * so a crash cannot leave a slot half written. */
static struct txids {
    _Atomic bool    full;
    _Atomic int32_t id[SLOTS];
} * set;

bool
txids_map(void)
{
    void *p = mmap(NULL, sizeof *set, PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return false;
    set = p;
    return true;
}

/* Ids that follow each other are placed on the same page of memory. */
bool
txids_add(int32_t id)
{
    for (uint32_t i = 0; i < PROBES; i++) {
        _Atomic int32_t *slot =
            &set->id[((uint32_t)id + i * i * 4099u) % SLOTS];
        int32_t there = 0;
        if (atomic_compare_exchange_strong_explicit(
                slot, &there, id, memory_order_relaxed, memory_order_relaxed))
            return true;
        if (there == id)
            return false;
    }
    atomic_store_explicit(&set->full, true, memory_order_relaxed);
    return true;
}

bool
txids_full(void)
{
    return atomic_load_explicit(&set->full, memory_order_relaxed);
}
