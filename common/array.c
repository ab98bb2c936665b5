/* array: arrays that grow. See array.h. */
#include "array.h"

#include <stdlib.h>

#define FIRST 64

void *
array_grow(void *p, size_t *cap, size_t size)
{
    size_t n = *cap != 0 ? 2 * *cap : FIRST;
    void  *more = reallocarray(p, n, size);

    if (more != NULL)
        *cap = n;
    return more;
}
