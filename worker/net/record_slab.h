/*
 * record_slab: where the keys of connections lie.
 *
 * A slab for each size of struct record, mapped apart from the heap. It is not
 * in core files, not inherited by children, and never shared; a place is
 * overwritten when it is released. Memory is used as connections come, and is
 * kept for later ones.
 */
#ifndef WORKER_NET_RECORD_SLAB_H
#define WORKER_NET_RECORD_SLAB_H

#include <stdbool.h>
#include <stdint.h>

#include "net/record.h"

/* capacity: records of each size, at most 2^28. False if there is not enough
 * address space. */
bool record_slab_init(uint32_t capacity);

/* Stores a copy of the record and returns its number, or 0 if the slab is
   full. */
uint32_t record_slab_put(const struct record *r);
/* The record with this number, in place, until record_slab_release(), which
 * overwrites it. */
struct record *record_slab_at(uint32_t number);
void           record_slab_release(uint32_t number);

#endif
