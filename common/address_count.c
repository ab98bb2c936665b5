/* address_count: how many connections each address has. See address_count.h. */
#include "address_count.h"

#define CELLS_MIN 4096u
#define CELLS_MAX 65536u

static uint32_t
cells_for(uint64_t max_connections)
{
    uint32_t n = CELLS_MIN;

    while (n < CELLS_MAX && n < max_connections / 8)
        n *= 2;
    return n;
}

size_t
address_count_size(unsigned slots, uint64_t max_connections)
{
    return sizeof(struct address_count) +
        (size_t)slots * ADDRESS_COUNT_ROWS * cells_for(max_connections) *
        sizeof(uint32_t);
}

void
address_count_init(
    struct address_count *w, unsigned slots, uint64_t max_connections)
{
    hash_key_draw(&w->key);
    w->cells = cells_for(max_connections);
    w->slots = slots;
}

static _Atomic uint32_t *
row(const struct address_count *w, unsigned slot, unsigned r)
{
    return (_Atomic uint32_t *)w->cell +
        (size_t)(slot * ADDRESS_COUNT_ROWS + r) * w->cells;
}

struct address_count_place
address_count_find(
    const struct address_count *w, unsigned kind, const uint64_t addr[2])
{
    uint64_t                   h = hash_keyed(&w->key, kind, addr, 16);
    struct address_count_place p;

    p.cell[0] = (uint16_t)(h & (w->cells - 1));
    p.cell[1] = (uint16_t)(h >> 32 & (w->cells - 1));
    return p;
}

static void
change(struct address_count *w, unsigned slot, struct address_count_place p,
    uint32_t by)
{
    for (unsigned r = 0; r < ADDRESS_COUNT_ROWS; r++) {
        _Atomic uint32_t *c = &row(w, slot, r)[p.cell[r] & (w->cells - 1)];
        atomic_store_explicit(c,
            atomic_load_explicit(c, memory_order_relaxed) + by,
            memory_order_relaxed);
    }
}

void
address_count_enter(
    struct address_count *w, unsigned slot, struct address_count_place p)
{
    change(w, slot, p, 1);
}

void
address_count_leave(
    struct address_count *w, unsigned slot, struct address_count_place p)
{
    change(w, slot, p, UINT32_MAX);
}

void
address_count_clear(struct address_count *w, unsigned slot)
{
    for (uint32_t i = 0; i < ADDRESS_COUNT_ROWS * w->cells; i++) {
        _Atomic uint32_t *c = &row(w, slot, 0)[i];
        if (atomic_load_explicit(c, memory_order_relaxed) != 0)
            atomic_store_explicit(c, 0, memory_order_relaxed);
    }
}

void
address_count_add(const struct address_count *w, unsigned slot,
    struct address_count_place p, uint64_t sum[ADDRESS_COUNT_ROWS])
{
    for (unsigned r = 0; r < ADDRESS_COUNT_ROWS; r++)
        sum[r] += atomic_load_explicit(
            &row(w, slot, r)[p.cell[r] & (w->cells - 1)], memory_order_relaxed);
}
