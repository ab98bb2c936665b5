/* heap: gives free memory of the heap back to the system. See heap.h. */
#include "heap.h"

#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

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
