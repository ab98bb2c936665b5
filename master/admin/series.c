/* series: the numbers of the last hour, for the status page. See http.h. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "admin/http.h"
#include "clock.h"
#include "writer.h"

#define SAMPLES (3600 / SERIES_EVERY_S + 1)

/* Each name is a column of the answer. Counters are shown as rates. */
#define COLUMNS(X)                                                             \
    X(connections)                                                             \
    X(accepted)                                                                \
    X(messages_in)                                                             \
    X(messages_out)                                                            \
    X(events)                                                                  \
    X(pings)                                                                   \
    X(pings_skipped)

struct sample {
    uint64_t wall_ms, mono_ms;
#define X(name) uint64_t name;
    COLUMNS(X)
#undef X
};

static pthread_mutex_t   lock = PTHREAD_MUTEX_INITIALIZER;
static struct sample     ring[SAMPLES];
static unsigned          ring_n, ring_next;
static const struct shm *shm_of;

static void
take(void)
{
    static struct stats sum;
    struct sample s = {.wall_ms = clock_wall_ms(), .mono_ms = clock_mono_ms()};

    shm_sum(shm_of, &sum);
#define X(name) s.name = stat_get(&sum.name);
    COLUMNS(X)
#undef X
    pthread_mutex_lock(&lock);
    ring[ring_next] = s;
    ring_next = (ring_next + 1) % SAMPLES;
    ring_n += ring_n < SAMPLES;
    pthread_mutex_unlock(&lock);
}

static void *
run(void *arg)
{
    for (;;) {
        take();
        nanosleep(&(struct timespec){SERIES_EVERY_S, 0}, NULL);
    }
    return arg;
}

void
series_begin(const struct shm *s)
{
    pthread_t thread;

    shm_of = s;
    if (pthread_create(&thread, NULL, run, NULL) == 0)
        pthread_detach(thread);
}

static double
rate(uint64_t before, uint64_t now, uint64_t ms)
{
    return ms > 0 && now > before ? (double)(now - before) * 1000 / (double)ms
                                  : 0;
}

void
series_json(struct buf *out)
{
    static struct sample copy[SAMPLES];
    struct writer        w = WRITER_INIT(out);
    unsigned             n;

    pthread_mutex_lock(&lock);
    n = ring_n;
    for (unsigned i = 0; i < n; i++)
        copy[i] = ring[(ring_next + SAMPLES - n + i) % SAMPLES];
    writer_open(&w, NULL, '{');
    writer_u64(&w, "everySeconds", SERIES_EVERY_S);
    writer_u64(&w, "lastMs", n > 0 ? copy[n - 1].wall_ms : 0);
    writer_open(&w, "connections", '[');
    for (unsigned i = 1; i < n; i++)
        writer_u64(&w, NULL, copy[i].connections);
    writer_close(&w);
#define SERIES(name, key)                                                      \
    writer_open(&w, key, '[');                                                 \
    for (unsigned i = 1; i < n; i++)                                           \
        writer_f64(&w, NULL,                                                   \
            rate(copy[i - 1].name, copy[i].name,                               \
                copy[i].mono_ms - copy[i - 1].mono_ms));                       \
    writer_close(&w);
    SERIES(accepted, "acceptsPerSecond")
    SERIES(messages_in, "messagesInPerSecond")
    SERIES(messages_out, "messagesOutPerSecond")
    SERIES(events, "eventsPerSecond")
    SERIES(pings, "pingsPerSecond")
    SERIES(pings_skipped, "pingsSkippedPerSecond")
#undef SERIES
    writer_close(&w);
    buf_addc(out, '\n');
    pthread_mutex_unlock(&lock);
}
