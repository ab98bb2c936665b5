/* heap: gives free memory of the heap back to the system. See heap.h. */
#include "heap.h"

#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Sizes of the chunks that glibc caches for each thread: 32 to 1,040 bytes with
 * their header, in steps of 16. */
#define FIRST 24
#define LAST 1032
#define STEP 16
#define SIZES ((LAST - FIRST) / STEP + 1)
#define EACH 7

static void     *kept[SIZES][EACH];
static pthread_t thread;
static bool      running;

static void *
run(void *unused)
{
    (void)unused;
    for (int s = 0; s < SIZES; s++)
        for (int i = 0; i < EACH; i++)
            free(kept[s][i]);
    return NULL;
}

static void
begin(void)
{
    pthread_attr_t attr;
    sigset_t       all, before;

    for (int s = 0; s < SIZES; s++)
        for (int i = 0; i < EACH; i++)
            kept[s][i] = malloc((size_t)(FIRST + s * STEP));
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN + 65536);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    running = pthread_create(&thread, &attr, run, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (!running)
        run(NULL);
}

void
heap_open(void)
{
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
}

void
heap_trim(void)
{
    if (!running)
        begin();
    if (running)
        pthread_join(thread, NULL);
    running = false;
    malloc_trim(0);
}

bool
heap_trim_step(void)
{
    if (!running)
        begin();
    else if (pthread_tryjoin_np(thread, NULL) == 0)
        running = false;
    if (running)
        return false;
    malloc_trim(0);
    return true;
}

size_t
heap_drop_zeros(void *p, size_t n)
{
    static const uint8_t zeros[4096];
    const uintptr_t      page = sizeof zeros;
    uintptr_t            at = ((uintptr_t)p + page - 1) / page * page;
    uintptr_t            end = ((uintptr_t)p + n) / page * page;
    size_t               dropped = 0;

    while (at < end) {
        uintptr_t to = at;
        while (to < end && memcmp((const void *)to, zeros, page) == 0)
            to += page;
        if (to > at && madvise((void *)at, to - at, MADV_DONTNEED) == 0)
            dropped += (to - at) / page;
        at = to > at ? to : at + page;
    }
    return dropped;
}
