/* loop_memory: the memory of libev. See loop_memory.h. */
#include "base/loop_memory.h"

#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>

#include "heap.h"

/* The largest block of libev is the array of descriptors. */
static void  *largest;
static size_t largest_size;
static bool   grown;

static void *
allocate(void *p, long size)
{
    if (p != NULL && p == largest) {
        largest = NULL;
        largest_size = 0;
    }
    if (size == 0) {
        free(p);
        return NULL;
    }
    void *q = realloc(p, (size_t)size);
    if (q != NULL && (size_t)size > largest_size) {
        largest = q;
        largest_size = (size_t)size;
        grown = true;
    }
    return q;
}

void
loop_memory_open(void)
{
    ev_set_allocator(allocate);
}

size_t
loop_memory_trim(void)
{
    if (!grown || largest == NULL)
        return 0;
    grown = false;
    return heap_drop_zeros(largest, largest_size);
}
