/*
 * loop_memory: the memory of libev.
 *
 * libev keeps a row of 16 bytes for each descriptor, in an array that it
 * doubles when a higher descriptor comes, and fills the new half with zeros.
 * With a few more than 16,000 connections nearly half of the array is never
 * used, but takes memory: 16 bytes for each connection. The pages that hold
 * only zeros are released here.
 */
#ifndef WORKER_BASE_LOOP_MEMORY_H
#define WORKER_BASE_LOOP_MEMORY_H

#include <stddef.h>

/* Called before the loop is made. */
void loop_memory_open(void);

/* Called when no further connections are expected soon. Does nothing if the
 * array has not grown since the last call. Returns the number of pages that
 * were released. */
size_t loop_memory_trim(void);

#endif
