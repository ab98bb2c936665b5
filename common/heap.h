/*
 * heap: gives the free memory of the heap back to the system.
 *
 * malloc_trim(3) gives back whole free pages. glibc keeps the last seven freed
 * chunks of each small size for the thread that freed them, and counts them as
 * used: after thousands of handshakes they are strewn over the whole heap, and
 * each holds its page. Such a store is emptied only when its thread ends. So
 * the chunks are taken out of it here and freed by a thread that ends at once.
 */
#ifndef COMMON_HEAP_H
#define COMMON_HEAP_H

#include <stdbool.h>

/* At the start of a process that collects large messages: blocks of 256 KiB and
 * more have pages of their own, which go back when they are freed and can grow
 * without a copy. Without it glibc raises that limit to the largest block that
 * was ever freed, and growing buffers leave holes in the heap. */
void heap_open(void);

/* Waits for that thread: at a start, and in programs that may wait. */
void heap_trim(void);

/* The same in steps, for an event loop: called again until it returns true. */
bool heap_trim_step(void);

#endif
