/* log_writer: the thread that writes the lines of the log. See
 * log_writer.h. */
#include "log_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"

#define BUFFER_BYTES ((size_t)128 << 10)
#define STACK_BYTES ((size_t)64 << 10)
#define FLUSH_MS 1000 /* at exit(3) */

/* A buffer of lines, each stored as its length and its bytes. */
struct lines {
    char  *p;
    size_t len;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  wake = PTHREAD_COND_INITIALIZER;
static pthread_cond_t  done; /* made before the thread starts */

/* lock */
static struct lines fill;
static int          next_fd = -1; /* replaces fd */
static bool         next_syslog, replaced;
static bool         started, writing;
static uint64_t     since_ms; /* when the writing of the current line began */
static uint64_t     missing;  /* dropped and not reported yet */
static uint64_t     lost;

static log_writer_note *make_note;

/* Used by the thread only; by the loop while there is no thread. */
static struct lines batch;
static int          fd = STDERR_FILENO;
static bool         to_syslog;

/* --- the thread ---------------------------------------------------------- */

static int
syslog_connect(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = _PATH_LOG};
    int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (s >= 0 && connect(s, (struct sockaddr *)&un, sizeof un) != 0) {
        close(s);
        s = -1;
    }
    return s;
}

/* False if there is no syslogd. If syslogd does not read, this waits. */
static bool
syslog_send(const char *p, size_t n)
{
    bool anew = false; /* the socket was connected again for this line */

    for (;;) {
        if (fd >= 0 && send(fd, p, n, MSG_NOSIGNAL) >= 0)
            return true;
        if (fd >= 0 && errno == EINTR)
            continue;
        if (fd >= 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            struct pollfd w = {.fd = fd, .events = POLLOUT};
            poll(&w, 1, 1000);
            continue;
        }
        if (anew)
            return false;
        anew = true;
        if (fd >= 0)
            close(fd);
        fd = syslog_connect();
    }
}

static void
locked_replace(void)
{
    if (!replaced)
        return;
    int old = fd;
    fd = next_fd;
    to_syslog = next_syslog;
    next_fd = -1;
    replaced = false;
    if (old >= 0 && old != STDERR_FILENO && old != fd) {
        pthread_mutex_unlock(&lock);
        close(old);
        pthread_mutex_lock(&lock);
    }
}

static void
locked_write(const char *p, size_t n)
{
    locked_replace();
    since_ms = clock_mono_ms();
    pthread_mutex_unlock(&lock);
    /* Another program may have made stderr non-blocking. */
    bool out = to_syslog ? syslog_send(p, n) : file_write(fd, p, n);
    pthread_mutex_lock(&lock);
    since_ms = 0;
    if (!out) {
        missing++;
        lost++;
    }
}

static void
locked_report(void)
{
    char     note[LOG_WRITER_LINE_MAX];
    uint64_t n = missing;

    missing = 0;
    uint64_t before = lost;
    locked_write(note, make_note(note, sizeof note, n));
    if (lost != before)
        missing += n - 1; /* the note itself was dropped; it does not count as a
                             line */
}

static void *
run(void *unused)
{
    (void)unused;
    prctl(PR_SET_NAME, "ocppd-log", 0, 0, 0);
    pthread_mutex_lock(&lock);
    for (;;) {
        while (fill.len == 0) {
            locked_replace(); /* a process that logs nothing must close the old
                               * file too */
            writing = false;
            pthread_cond_broadcast(&done);
            if (fill.len == 0)
                pthread_cond_wait(&wake, &lock);
        }
        writing = true;
        struct lines b = batch;
        batch = fill;
        fill = b;
        fill.len = 0;
        uint64_t before = missing;
        for (size_t at = 0; at < batch.len;) {
            size_t n;
            memcpy(&n, batch.p + at, sizeof n);
            /* The dropped lines came before this batch, so they are reported
               first. */
            if (before > 0)
                locked_report();
            before = 0;
            locked_write(batch.p + at + sizeof n, n);
            at += sizeof n + n;
        }
        batch.len = 0;
        if (missing > 0 && fill.len == 0)
            locked_report();
    }
    return NULL;
}

/* --- processes ------------------------------------------------------------ */

static void
before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void
after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

/* A child does not inherit the parent's thread, and the parent writes the
   buffered lines. */
static void
in_child(void)
{
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&wake, NULL);
    started = writing = false;
    fill.len = batch.len = 0;
    missing = lost = 0;
    since_ms = 0;
    if (replaced) {
        fd = next_fd;
        to_syslog = next_syslog;
        next_fd = -1;
        replaced = false;
    }
}

static void
at_exit(void)
{
    log_writer_flush(FLUSH_MS);
}

/* Called while no thread waits: deadlines are those of the monotonic clock. */
static void
make_done(void)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&done, &attr);
    pthread_condattr_destroy(&attr);
}

static bool
locked_start(void)
{
    static bool    registered;
    pthread_attr_t attr;
    pthread_t      thread;
    sigset_t       all, old;

    if (fill.p == NULL)
        fill.p = malloc(BUFFER_BYTES);
    if (batch.p == NULL)
        batch.p = malloc(BUFFER_BYTES);
    if (fill.p == NULL || batch.p == NULL)
        return false;
    if (!registered) {
        registered = true;
        pthread_atfork(before_fork, after_fork, in_child);
        atexit(at_exit);
    }
    make_done();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    started = pthread_create(&thread, &attr, run, NULL) == 0;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return started;
}

static void
replace(int with, bool is_syslog)
{
    pthread_mutex_lock(&lock);
    if (replaced && next_fd >= 0 && next_fd != STDERR_FILENO && next_fd != with)
        close(next_fd); /* no line was written to it */
    next_fd = with;
    next_syslog = is_syslog;
    replaced = true;
    if (started)
        pthread_cond_signal(&wake);
    else
        locked_replace();
    pthread_mutex_unlock(&lock);
}

void
log_writer_to(int to)
{
    replace(to, false);
}

void
log_writer_to_syslog(void)
{
    /* Connect now, because later there may be no free descriptor. */
    replace(syslog_connect(), true);
}

int
log_writer_fd(void)
{
    pthread_mutex_lock(&lock);
    int now = replaced ? next_fd : fd;
    pthread_mutex_unlock(&lock);
    return now;
}

void
log_writer_put(const char *line, size_t len, log_writer_note *note)
{
    pthread_mutex_lock(&lock);
    make_note = note;
    if (!started && !locked_start()) {
        locked_write(line, len); /* without a thread: this may wait, but the
                                    line is not lost */
    } else if (fill.len + sizeof len + len > BUFFER_BYTES) {
        missing++;
        lost++;
    } else {
        memcpy(fill.p + fill.len, &len, sizeof len);
        memcpy(fill.p + fill.len + sizeof len, line, len);
        fill.len += sizeof len + len;
        pthread_cond_signal(&wake);
    }
    pthread_mutex_unlock(&lock);
}

void
log_writer_flush(unsigned ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&lock);
    while (started && (fill.len > 0 || writing))
        if (pthread_cond_timedwait(&done, &lock, &until) != 0)
            break;
    pthread_mutex_unlock(&lock);
}

uint64_t
log_writer_lost(void)
{
    pthread_mutex_lock(&lock);
    uint64_t n = lost;
    pthread_mutex_unlock(&lock);
    return n;
}

bool
log_writer_late(unsigned late_ms)
{
    pthread_mutex_lock(&lock);
    uint64_t since = since_ms;
    pthread_mutex_unlock(&lock);
    return since != 0 && clock_mono_ms() - since >= late_ms;
}
