/*
 * registry_fix: a registry in memory that forked processes share, for tests.
 */
#ifndef TEST_UNIT_REGISTRY_FIX_H
#define TEST_UNIT_REGISTRY_FIX_H

#include <sys/mman.h>

#include "clock.h"
#include "registry_layout.h"
#include "unit.h"

static __attribute__((unused)) void *
fix_shared(size_t n)
{
    void *p = mmap(
        NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

static __attribute__((unused)) struct registry *
fix_registry(uint32_t capacity)
{
    struct registry *r = fix_shared(registry_size(capacity));

    registry_init(r, capacity);
    return r;
}

/* A connection from a fixed address. */
static __attribute__((unused)) enum registry_result
fix_claim(struct registry *r, const char *name, unsigned slot, uint32_t index,
    struct registry_claim *out)
{
    static const uint64_t    addr[2] = {1, 2};
    static _Atomic uint64_t *sequence;

    if (sequence == NULL) {
        sequence = fix_shared(sizeof *sequence);
        *sequence = 1000;
    }
    return registry_claim(
        r, name, strlen(name), slot, index, sequence, addr, 80, out);
}

static __attribute__((unused)) void
fix_set_age(struct registry *r, uint32_t entry, int64_t seconds)
{
    registry_at(r, entry)->last_seen =
        (uint32_t)((int64_t)(clock_wall_ms() / 1000) - seconds);
}

#endif
