/*
 * record_slab: where the keys of connections lie.
 *
 * A slab for each size of struct record, mapped apart from the heap: not in
 * core files, not in children, overwritten on release, never shared. Memory
 * comes with use and is kept for the next connections.
 */
#ifndef WORKER_NET_RECORD_SLAB_H
#define WORKER_NET_RECORD_SLAB_H

#include <stdbool.h>
#include <stdint.h>

#include "net/record.h"

/* capacity: records of each size, at most 2^28. False if the address space is
 * not there. */
bool record_slab_init(uint32_t capacity);

/* Keeps a copy of the record. 0 if the slab is full, else its number. */
uint32_t       record_slab_put(const struct record *r);
struct record *record_slab_at(uint32_t number);
void           record_slab_release(uint32_t number);

#endif
