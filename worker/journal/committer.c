/*
 * committer: the thread that makes events durable. See committer.h.
 *
 *   loop: put, put, put           put, put                 look
 *            |                       |                       ^
 *            v        fill  <--- exchanged --->  batch       | progress
 *   thread:  (sleeps)  take, write, fdatasync | take, write, fdatasync | ...
 */
#include "journal/committer.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "clock.h"

#define BUSY_BYTES ((size_t)64 << 10)
/* Bytes of a buffer's memory that are kept after a burst. */
#define KEEP_BYTES ((size_t)128 << 10)
#define REST_S 1
#define RETRY_MS 1000
#define REMOVE_AT_ONCE 8 /* segments that are removed between two commits */

/* Lines that are written and made durable together. */
struct batch {
    struct buf bytes;
    uint64_t   first, last; /* numbers of the first and last event */
    uint64_t   floor;       /* of the first event */
    uint64_t   events;
};

static struct {
    struct committer_env env;
    pthread_t            thread;

    /* lock */
    pthread_mutex_t lock;
    pthread_cond_t  wake; /* signalled when there is work, or to stop */
    struct batch    fill;
    size_t          taken; /* bytes in batch that are not durable */
    bool            idle;  /* the thread waits for work */
    bool            stop;
    bool            chore; /* close old segments and remove what retention
                              allows */
    uint64_t              segment_size, segment_age, retention, interval;
    size_t                buffer_size;
    struct committer_news news; /* except pending and backlog, which are
                                   computed when asked for */

    /* thread */
    struct tail  tail;
    struct batch batch;
    uint64_t     next_removal; /* monotonic ms */
    uint64_t     retention_seen;
} c;

/* ---- the thread; "locked" functions are called with the lock and return
 * with it, but may let go of it meanwhile ------------------------------- */

static const char *
remedy(int err)
{
    switch (err) {
    case ENOSPC:
    case EDQUOT:
        return "free space there, or shorten journal.retention";
    case EFBIG:
        return "raise the limit of file size (ulimit -f), or lower "
               "journal.segment_size";
    case EROFS:
        return "the file system became read-only: see the kernel log";
    case EIO:
        return "the disk fails: see the kernel log";
    case EACCES:
    case EPERM:
        return "let the user the daemon runs as write there";
    case ENOENT:
    case ENOTDIR:
        return "it was removed, or its directory: make the directory again";
    case EMFILE:
    case ENFILE:
        return "raise the limit of open files";
    default:
        return "see the kernel log";
    }
}

static void
locked_failure(int err)
{
    char path[TAIL_PATH_MAX + JOURNAL_NAME_LEN + 2];

    if (c.news.err == err)
        return;
    if (c.news.err == 0)
        c.news.failing_since = clock_mono_ms();
    segment_writer_path(&c.tail, path, sizeof path);
    snprintf(c.news.words, sizeof c.news.words,
        "cannot %s %s: %s; %s; until then no message that makes an event is "
        "answered (tried again every second)",
        c.tail.failed, path, strerror(err), remedy(err));
    c.news.err = err;
    c.news.turns++;
    atomic_store(&c.env.mem->journal_errno, (uint32_t)err);
    STAT_SET(&c.env.mem->stats, journal_failing, 1);
}

static void
locked_success(void)
{
    if (c.news.err == 0)
        return;
    c.news.err = 0;
    c.news.turns++;
    atomic_store(&c.env.mem->journal_errno, 0);
    STAT_SET(&c.env.mem->stats, journal_failing, 0);
}

static void
measure_disk(void)
{
    struct stats  *st = &c.env.mem->stats;
    struct statvfs disk;

    if (c.tail.dir_fd < 0 || fstatvfs(c.tail.dir_fd, &disk) != 0)
        return;
    STAT_SET(
        st, journal_disk_free_bytes, (uint64_t)disk.f_bavail * disk.f_frsize);
    STAT_SET(
        st, journal_disk_size_bytes, (uint64_t)disk.f_blocks * disk.f_frsize);
}

static void
locked_chores(void)
{
    uint64_t              age = c.segment_age, retention = c.retention;
    uint64_t              now = clock_mono_ms();
    struct retention_done done = {0};
    bool                  again = false;

    c.chore = false;
    pthread_mutex_unlock(&c.lock);
    measure_disk();
    segment_writer_age(&c.tail, age);
    if (now >= c.next_removal || retention != c.retention_seen) {
        c.retention_seen = retention;
        again = retention_run(&c.tail, c.env.slots, retention, REMOVE_AT_ONCE,
                    &done) == REMOVE_AT_ONCE;
        uint64_t pause = retention / 8;
        c.next_removal = again ? now
                               : now +
                (pause < 1000           ? 1000
                        : pause > 10000 ? 10000
                                        : pause);
    }
    pthread_mutex_lock(&c.lock);
    if (again)
        c.chore = true;
    if (done.removed > 0) {
        done.removed += c.news.done.removed;
        memcpy(c.news.done.last, done.last, sizeof done.last);
        c.news.done.removed = done.removed;
    }
    if (done.step_ms != 0)
        c.news.done.step_ms = done.step_ms;
}

/* Waits until the next try, or until the thread must stop. */
static void
locked_pause(void)
{
    uint64_t        end = clock_mono_ms() + RETRY_MS;
    struct timespec until = {
        (time_t)(end / 1000), (long)(end % 1000) * 1000000};

    while (!c.stop && clock_mono_ms() < end)
        pthread_cond_timedwait(&c.wake, &c.lock, &until);
}

/* Tries until the batch is durable; false if it never will be. */
static bool
locked_commit(void)
{
    struct batch *b = &c.batch;
    struct stats *st = &c.env.mem->stats;

    for (;;) {
        bool     last_try = c.stop;
        uint64_t limit = c.segment_size, age = c.segment_age;

        pthread_mutex_unlock(&c.lock);
        segment_writer_age(&c.tail, age);
        uint64_t began = clock_mono_ns();
        int      err = segment_writer_commit(
                 &c.tail, b->bytes.p, b->bytes.len, b->first, limit);
        if (err == 0) {
            STAT_INC(st, commits);
            histogram_add(&st->commit_time, (clock_mono_ns() - began) / 1000);
        } else {
            STAT_INC(st, journal_errors);
            segment_writer_give_up(&c.tail);
        }
        pthread_mutex_lock(&c.lock);
        if (err == 0) {
            locked_success();
            return true;
        }
        locked_failure(err);
        c.env.progress();
        if (last_try)
            return false;
        locked_chores(); /* removing segments makes room on the disk */
        locked_pause();
    }
}

/* A commit that would follow another one closely waits for further events, so
 * that a busy worker makes fewer and larger commits. After a pause a commit
 * begins at once. */
static void
locked_gather(uint64_t last_began)
{
    uint64_t        end = last_began + c.interval;
    struct timespec until = {
        (time_t)(end / 1000), (long)(end % 1000) * 1000000};

    while (!c.stop && clock_mono_ms() < end)
        pthread_cond_timedwait(&c.wake, &c.lock, &until);
}

static void
locked_take(void)
{
    struct batch b = c.batch;

    c.batch = c.fill;
    c.fill = b;
    c.taken = c.batch.bytes.len;
}

static void
empty(struct batch *b)
{
    buf_clear(&b->bytes);
    if (b->bytes.cap > KEEP_BYTES)
        buf_free(&b->bytes);
    b->first = b->last = b->events = 0;
}

/* Waits for work. If there is none for REST_S seconds, both buffers are
   freed. */
static void
locked_rest(void)
{
    if (c.fill.bytes.cap + c.batch.bytes.cap == 0) {
        pthread_cond_wait(&c.wake, &c.lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += REST_S;
    if (pthread_cond_timedwait(&c.wake, &c.lock, &until) == ETIMEDOUT &&
        c.fill.events == 0) {
        buf_free(&c.fill.bytes);
        buf_free(&c.batch.bytes);
    }
}

static void *
run(void *unused)
{
    uint64_t began = 0;

    (void)unused;
    pthread_mutex_lock(&c.lock);
    for (;;) {
        while (c.fill.events == 0 && !c.stop && !c.chore) {
            c.idle = true;
            locked_rest();
        }
        c.idle = false;
        if (c.fill.events > 0) {
            locked_gather(began);
            began = clock_mono_ms();
            locked_take();
            if (!locked_commit()) {
                c.news.lost = c.batch.events + c.fill.events;
                break;
            }
            c.news.durable = c.batch.last;
            c.taken = 0;
            c.env.progress();
            pthread_mutex_unlock(&c.lock);
            empty(&c.batch);
            pthread_mutex_lock(&c.lock);
        }
        if (c.chore) {
            locked_chores();
            if (c.news.done.removed > 0 || c.news.done.step_ms != 0)
                c.env.progress();
        }
        if (c.stop && c.fill.events == 0)
            break;
    }
    pthread_mutex_unlock(&c.lock);
    return NULL;
}

/* --- the loop ------------------------------------------------------------ */

/* Replaces line feeds and NULs by blanks, so that an event is one line whatever
   a charge point has sent. */
static void
make_one_line(char *p, size_t len)
{
    char *end = p + len;

    for (char *q = p; (q = memchr(q, '\n', (size_t)(end - q))) != NULL;)
        *q = ' ';
    for (char *q = p; (q = memchr(q, '\0', (size_t)(end - q))) != NULL;)
        *q = ' ';
}

bool
committer_put(
    uint64_t number, uint64_t floor, const char *line, size_t len, bool *busy)
{
    struct batch *b = &c.fill;

    if (len + JOURNAL_CHECK_LEN > JOURNAL_LINE_MAX)
        return false;
    pthread_mutex_lock(&c.lock);
    size_t whole = len + JOURNAL_CHECK_LEN; /* the checksum and the line feed
                                               replace the } */
    /* A line that is larger than the buffer is accepted if the buffer is
       empty. */
    size_t held = c.taken + b->bytes.len;
    bool   fits = (held == 0 || held + whole <= c.buffer_size) &&
        buf_reserve(&b->bytes, whole);
    if (fits) {
        char *to = b->bytes.p + b->bytes.len;
        memcpy(to, line, len - 1);
        make_one_line(to, len - 1);
        journal_line_put_check(to + len - 1, to, len - 1);
        to[whole - 1] = '\n';
        b->bytes.len += whole;
        if (b->events++ == 0) {
            b->first = number;
            b->floor = floor;
        }
        b->last = number;
    }
    *busy = b->bytes.len >= BUSY_BYTES;
    pthread_mutex_unlock(&c.lock);
    return fits;
}

void
committer_wake(void)
{
    pthread_mutex_lock(&c.lock);
    bool idle = c.idle;
    c.idle = false; /* one signal is enough */
    pthread_mutex_unlock(&c.lock);
    if (idle)
        pthread_cond_signal(&c.wake);
}

static void
take_knobs(void)
{
    c.segment_size = c.env.conf->journal_segment_size;
    c.segment_age = c.env.conf->journal_segment_age;
    c.retention = c.env.conf->journal_retention;
    c.interval = c.env.conf->journal_commit_interval;
}

void
committer_tick(void)
{
    pthread_mutex_lock(&c.lock);
    take_knobs();
    c.chore = true;
    pthread_mutex_unlock(&c.lock);
    committer_wake();
}

void
committer_look(struct committer_news *news)
{
    unsigned turns = news->turns;

    pthread_mutex_lock(&c.lock);
    news->durable = c.news.durable;
    news->pending = c.taken > 0 ? c.batch.floor
        : c.fill.events > 0     ? c.fill.floor
                                : UINT64_MAX;
    news->backlog = c.taken + c.fill.bytes.len;
    news->lost = c.news.lost;
    news->err = c.news.err;
    news->turns = c.news.turns;
    news->failing_since = c.news.failing_since;
    if (turns != c.news.turns)
        memcpy(news->words, c.news.words, sizeof news->words);
    news->done = c.news.done;
    c.news.done.removed = 0;
    c.news.done.step_ms = 0;
    pthread_mutex_unlock(&c.lock);
}

bool
committer_start(
    const struct committer_env *env, const struct tail *t, struct buf *why)
{
    pthread_condattr_t attr;
    sigset_t           all, old;

    memset(&c, 0, sizeof c);
    c.env = *env;
    c.tail = *t;
    c.news.durable = env->durable;
    c.buffer_size = (size_t)env->conf->journal_buffer_size;
    c.fill.bytes = c.batch.bytes = BUF_INIT(c.buffer_size + JOURNAL_LINE_MAX);
    take_knobs();
    pthread_mutex_init(&c.lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c.wake, &attr);
    pthread_condattr_destroy(&attr);

    /* Signals are handled by the loop's thread; with SIGXFSZ blocked,
     * write(2) returns EFBIG. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&c.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err == 0)
        return true;
    buf_addf(why,
        "cannot start the journal's thread: %s; raise the limit of "
        "processes (ulimit -u) or of memory",
        strerror(err));
    segment_writer_close(&c.tail);
    return false;
}

void
committer_stop(struct committer_news *news)
{
    pthread_mutex_lock(&c.lock);
    c.stop = true;
    pthread_cond_signal(&c.wake);
    pthread_mutex_unlock(&c.lock);
    pthread_join(c.thread, NULL);
    committer_look(news);
    segment_writer_close(&c.tail);
    buf_free(&c.fill.bytes);
    buf_free(&c.batch.bytes);
    pthread_cond_destroy(&c.wake);
    pthread_mutex_destroy(&c.lock);
}
