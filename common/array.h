/*
 * array: arrays that grow.
 */
#ifndef COMMON_ARRAY_H
#define COMMON_ARRAY_H

#include <stddef.h>

/* Room for more elements: twice as many, at first 64. Returns the array, which
 * may have moved; NULL without memory, then nothing has changed.
 *
 *     if (n == cap && (more = array_grow(all, &cap, sizeof *all)) == NULL)
 *         return false;
 */
void *array_grow(void *p, size_t *cap, size_t size);

#endif
