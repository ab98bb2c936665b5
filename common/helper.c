/* helper: a thread for work that may block. See helper.h. */
#include "helper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "clock.h"
#include "ensure.h"
#include "log.h"

/* Enough for getaddrinfo(3) and the file functions. The default would take 8
 * MiB of address space for each helper. */
#define STACK_BYTES (256u << 10)

/* One lock for all helpers. It is held for a few instructions only, never while
 * a job runs. */
static pthread_mutex_t    lock = PTHREAD_MUTEX_INITIALIZER;
static struct helper     *helpers;
static struct helper_job *finished, **finished_last = &finished;
static int                event = -1;

int
helper_open(void)
{
    if (event < 0)
        event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return event;
}

static void *
run(void *arg)
{
    struct helper *h = arg;

    prctl(PR_SET_NAME, h->name, 0, 0, 0);
    pthread_mutex_lock(&lock);
    for (;;) {
        while (h->first == NULL)
            pthread_cond_wait(h->wake, &lock);
        struct helper_job *job = h->first;
        h->first = job->next;
        if (h->first == NULL)
            h->last = &h->first;
        job->next = NULL;
        h->since_ms = clock_mono_ms();
        pthread_mutex_unlock(&lock);

        job->work(job);

        pthread_mutex_lock(&lock);
        h->since_ms = 0;
        h->jobs--;
        *finished_last = job;
        finished_last = &job->next;
        eventfd_write(event, 1);
    }
    return NULL;
}

/* Called without the lock, because no thread of this helper exists yet. */
static bool
start(struct helper *h)
{
    static bool    reported;
    pthread_attr_t attr;
    pthread_t      thread;
    sigset_t       all, old;

    if (h->wake == NULL) {
        h->wake = malloc(sizeof(pthread_cond_t));
        if (h->wake == NULL)
            return false;
        h->next_helper = helpers;
        helpers = h;
    }
    pthread_cond_init(h->wake, NULL);
    h->first = NULL;
    h->last = &h->first;
    h->jobs = 0;
    h->since_ms = 0;
    /* Signals are handled by the loop's thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int err = pthread_create(&thread, &attr, run, h);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err != 0 && !reported)
        log_error("cannot start the thread %s: %s; raise the limit of "
                  "processes (ulimit -u) or of memory",
            h->name, strerror(err));
    reported = err != 0;
    h->started = err == 0;
    return h->started;
}

bool
helper_submit(struct helper *h, struct helper_job *job)
{
    ensure(event >= 0);
    if (!h->started && !start(h))
        return false;
    pthread_mutex_lock(&lock);
    bool fits = h->jobs < h->most;
    if (fits) {
        h->jobs++;
        job->next = NULL;
        *h->last = job;
        h->last = &job->next;
        pthread_cond_signal(h->wake);
    }
    pthread_mutex_unlock(&lock);
    return fits;
}

bool
helper_run(struct helper_job *job)
{
    job->work(job);
    job->done(job);
    return true;
}

void
helper_finish(void)
{
    eventfd_t count;

    eventfd_read(event, &count);
    pthread_mutex_lock(&lock);
    struct helper_job *job = finished;
    finished = NULL;
    finished_last = &finished;
    pthread_mutex_unlock(&lock);
    while (job != NULL) {
        struct helper_job *next = job->next;
        job->done(job);
        job = next;
    }
}

unsigned
helper_tick(void)
{
    unsigned late = 0;
    uint64_t now = clock_mono_ms();

    for (struct helper *h = helpers; h != NULL; h = h->next_helper) {
        pthread_mutex_lock(&lock);
        uint64_t since = h->since_ms;
        pthread_mutex_unlock(&lock);
        bool is_late = since != 0 && now - since >= h->late_ms;
        if (is_late && !h->reported)
            log_warn(
                "%s has not answered for %llu ms; work that needs it waits, "
                "and everything else continues",
                h->waits, (unsigned long long)(now - since));
        if (h->reported && since == 0)
            log_warn("%s answers again", h->waits);
        h->reported = is_late || (h->reported && since != 0);
        late += is_late;
    }
    return late;
}

bool
helper_busy(const struct helper *h)
{
    pthread_mutex_lock(&lock);
    bool busy = h->jobs > 0 || finished != NULL;
    pthread_mutex_unlock(&lock);
    return busy;
}

void
helper_forget(void)
{
    pthread_mutex_init(&lock, NULL);
    for (struct helper *h = helpers; h != NULL; h = h->next_helper)
        h->started = h->reported = false;
    finished = NULL;
    finished_last = &finished;
    event = -1; /* closed with all other descriptors */
}
