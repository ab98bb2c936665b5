/*
 * heap: gives the free memory of the heap back to the system.
 *
 * malloc_trim(3) releases whole free pages. glibc keeps the last seven freed
 * chunks of each small size for the thread that freed them, and counts them as
 * used: after thousands of handshakes they are scattered over the whole heap,
 * and each keeps its page in use. glibc empties such a cache only when its
 * thread ends. So the chunks are taken out of the cache here and freed by a
 * thread that ends at once.
 */
#ifndef COMMON_HEAP_H
#define COMMON_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/* Called at the start of a process that collects large messages. From then on
 * blocks of 256 KiB and more have separate pages, which return to the system
 * when freed and can grow without a copy. Without this call glibc raises that
 * limit to the largest block that was ever freed, and growing buffers leave
 * holes in the heap. */
void heap_open(void);

/* Frees everything, and waits for that thread. For the start of a process, and
   for programs that may wait. */
void heap_trim(void);

/* The same in steps, for an event loop: called again until it returns true. */
bool heap_trim_step(void);

/* Gives back the pages of p[0..n) that hold only zeros, and returns their
 * number. They read as zeros afterwards, too. The memory must be private and
 * anonymous, as that of malloc(3) is. */
size_t heap_drop_zeros(void *p, size_t n);

#endif
