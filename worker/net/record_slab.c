/* record_slab: where the keys of connections lie. See record_slab.h. */
#include "net/record_slab.h"

#include <string.h>
#include <sys/mman.h>

#include "ensure.h"

/* The upper four bits of a number are the size (1 to 5), and the other bits an
 * index. */
#define SHIFT 28
#define INDEX ((UINT32_C(1) << SHIFT) - 1)
#define NONE UINT32_MAX

static const uint8_t sizes[] = {0, 76, 108, 140, 172, 204};
#define SIZES (sizeof sizes)

static struct {
    uint8_t *at;
    uint32_t high; /* indexes below this were used */
    uint32_t free; /* the first free place, which holds the index of the next
                      one */
} slabs[SIZES];
static uint32_t capacity;

bool
record_slab_init(uint32_t n)
{
    capacity = n <= INDEX ? n : INDEX;
    for (size_t s = 1; s < SIZES; s++) {
        size_t size = (size_t)capacity * sizes[s];
        void  *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            return false;
        madvise(p, size, MADV_DONTDUMP);
        madvise(p, size, MADV_DONTFORK);
        slabs[s].at = p;
        slabs[s].free = NONE;
    }
    return true;
}

static uint8_t *
place(uint32_t number)
{
    uint32_t s = number >> SHIFT, i = number & INDEX;

    ensure(s > 0 && s < SIZES && i < slabs[s].high);
    return slabs[s].at + (size_t)i * sizes[s];
}

struct record *
record_slab_at(uint32_t number)
{
    return (struct record *)(void *)place(number);
}

uint32_t
record_slab_put(const struct record *r)
{
    size_t   size = record_size(r->version, r->suite);
    uint32_t s = 1, i;

    while (s < SIZES && sizes[s] != size)
        s++;
    ensure(s < SIZES);
    if (slabs[s].free != NONE) {
        i = slabs[s].free;
        memcpy(&slabs[s].free, place(s << SHIFT | i), sizeof i);
    } else if (slabs[s].high < capacity) {
        i = slabs[s].high++;
    } else {
        return 0;
    }
    memcpy(place(s << SHIFT | i), r, size);
    return s << SHIFT | i;
}

void
record_slab_release(uint32_t number)
{
    uint32_t s = number >> SHIFT, i = number & INDEX;
    uint8_t *p = place(number);

    explicit_bzero(p, sizes[s]);
    memcpy(p, &slabs[s].free, sizeof i);
    slabs[s].free = i;
}
