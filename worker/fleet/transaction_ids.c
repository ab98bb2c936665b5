/* transaction_ids: transaction ids that are never given twice. See
 * transaction_ids.h. */
#include "fleet/transaction_ids.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/self.h"
#include "file.h"
#include "fleet/redis.h"
#include "helper.h"
#include "log.h"
#include "number.h"

#define BLOCK 1024
#define RANGE 65536                      /* fetched from Redis at once */
#define END_MAX ((int64_t)INT32_MAX + 1) /* after the last id */
/* With fewer ids left, the rest is given up for a new range. */
#define LOW (RANGE / 4)
#define LOOK_MS 1000
#define RETRY_MS 1000 /* ms without an access to the disk after a failure */
/* ms until a file that holds no ids yet is read again */
#define EMPTY_MS 100
/* ms for which the range may be empty before this is logged */
#define PATIENCE_MS 2000
#define LATE_MS 2000
#define FILE_NAME "transaction-ids"
#define PATH_MAX_BYTES (2 * CONF_TEXT_MAX + 32)

enum result { TAKEN, EMPTY, FAILED };

/* A job for the helper's thread: its input, and its result. */
struct job {
    struct helper_job h;
    char              path[PATH_MAX_BYTES];  /* file of the counter or range */
    char              local[PATH_MAX_BYTES]; /* file of the local counter */
    char              dir[CONF_TEXT_MAX];
    bool              fleet;
    int64_t           next, end; /* the block or range */
    int64_t     highest; /* the number that the local counter has reached */
    enum result outcome;
    char        why[SHM_WORDS_MAX];
};

static struct helper helper =
    HELPER_INIT("ocppd-ids", "the file of transaction ids", 4, LATE_MS);

/* Blocks are [next, end). */
static int64_t  next = 1, end = 1;
static int64_t  spare_next = 1, spare_end = 1;
static bool     taking;
static bool     failing; /* the failure was logged */
static uint32_t pause_ms, paused_ms;
static bool     empty; /* the range has been empty since empty_ms */
static uint32_t empty_ms;

/* Used by slot 0 only. */
static bool     fetching, was_ready;
static uint32_t looked_ms;

/* --- in the helper's thread ---------------------------------------------- */

static void fail(struct job *j, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
fail(struct job *j, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(j->why, sizeof j->why, fmt, ap);
    va_end(ap);
    j->outcome = FAILED;
}

static void
fail_errno(struct job *j)
{
    fail(j,
        "cannot take transaction ids from %s: %s; StartTransaction waits until "
        "this works",
        j->path, strerror(errno));
}

/* The file, locked; -1 with errno. */
static int
open_locked(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

    if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* "NEXT END\n", always of one length. An empty file is an empty range. */
static bool
read_range(int fd, int64_t *from, int64_t *to)
{
    char    text[64];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    if (n < 0)
        return false;
    text[n] = '\0';
    *from = *to = 0;
    size_t a = number_digits(text);
    size_t b = text[a] == ' ' ? number_digits(text + a + 1) : 0;
    if (n == 0 ||
        (number_i64(text, a, 1, END_MAX, from) &&
            number_i64(text + a + 1, b, 1, END_MAX, to) &&
            text[a + 1 + b] == '\n'))
        return true;
    errno = EINVAL;
    return false;
}

static bool
write_range(int fd, int64_t from, int64_t to)
{
    char text[64];
    int  len = snprintf(
         text, sizeof text, "%020" PRId64 " %020" PRId64 "\n", from, to);

    return pwrite(fd, text, (size_t)len, 0) == len && fdatasync(fd) == 0;
}

static void
take_of_range(struct job *j, int fd)
{
    int64_t from = 0, to = 0;
    bool    readable = read_range(fd, &from, &to);

    if (readable && to - from < BLOCK) {
        fail(j,
            "no transaction ids are left, and Redis has given no new ones; "
            "StartTransaction waits until it does");
        j->outcome = EMPTY;
    } else if (!readable || !write_range(fd, from + BLOCK, to)) {
        fail_errno(j);
    } else {
        j->next = from;
        j->outcome = TAKEN;
    }
}

static void
take_of_counter(struct job *j, int fd)
{
    char    text[32];
    int64_t value = 1;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    if (n < 0) {
        fail_errno(j);
        return;
    }
    text[n] = '\0';
    if (n > 0) {
        size_t digits = number_digits(text);
        if (!number_i64(text, digits, 1, INT64_MAX, &value) ||
            text[digits] != '\n') {
            fail(j,
                "%s holds no transaction id; restore it, or write the highest "
                "id ever used plus one into it",
                j->path);
            return;
        }
    }
    if (value > INT32_MAX - BLOCK) {
        fail(j, "%s: the transaction ids are used up at %" PRId64, j->path,
            value);
        return;
    }
    /* The text always has the same length, so it is overwritten in place.
     * Truncating the file first would leave it empty after a crash. */
    int len = snprintf(text, sizeof text, "%020" PRId64 "\n", value + BLOCK);
    if (pwrite(fd, text, (size_t)len, 0) != len || fdatasync(fd) != 0 ||
        (n == 0 && !file_sync_directory(j->dir))) {
        fail_errno(j);
        return;
    }
    j->next = value;
    j->outcome = TAKEN;
}

static void
take_work(struct helper_job *h)
{
    struct job *j = (struct job *)h;
    int         fd = open_locked(j->path);

    if (fd < 0) {
        fail_errno(j);
        return;
    }
    if (j->fleet)
        take_of_range(j, fd);
    else
        take_of_counter(j, fd);
    close(fd); /* this also releases the lock */
}

/* Finds how much of the range is left, and which number the counter that is
 * used without Redis has reached. */
static void
look_work(struct helper_job *h)
{
    struct job *j = (struct job *)h;
    int         fd = open_locked(j->path);
    long long   n = 0;

    if (fd < 0 || !read_range(fd, &j->next, &j->end))
        fail_errno(j);
    else
        j->outcome = TAKEN;
    if (fd >= 0)
        close(fd);
    FILE *f = fopen(j->local, "re");
    if (f != NULL) {
        if (fscanf(f, "%lld", &n) != 1)
            n = 0;
        fclose(f);
    }
    j->highest = n;
}

static void
keep_work(struct helper_job *h)
{
    struct job *j = (struct job *)h;
    int         fd = open_locked(j->path);

    if (fd < 0 || !write_range(fd, j->next, j->end))
        fail_errno(j);
    else
        j->outcome = TAKEN;
    if (fd >= 0)
        close(fd);
}

/* --- on the loop --------------------------------------------------------- */

static bool
submit(void (*work)(struct helper_job *), void (*done)(struct helper_job *),
    int64_t from, int64_t to)
{
    struct job *j = calloc(1, sizeof *j);

    if (j == NULL)
        return false;
    j->h.work = work;
    j->h.done = done;
    j->next = from;
    j->end = to;
    j->fleet = redis_on();
    snprintf(j->dir, sizeof j->dir, "%s", self.conf.server_state_dir);
    snprintf(j->local, sizeof j->local, "%s/" FILE_NAME, j->dir);
    if (j->fleet)
        snprintf(j->path, sizeof j->path, "%s/" FILE_NAME "-%s", j->dir,
            self.conf.redis_prefix);
    else
        snprintf(j->path, sizeof j->path, "%s", j->local);
    if (helper_submit(&helper, &j->h))
        return true;
    free(j);
    return false;
}

static void
pause_for(uint32_t ms)
{
    pause_ms = ms;
    paused_ms = self.now_ms;
}

static void
took(struct helper_job *h)
{
    struct job *j = (struct job *)h;

    taking = false;
    if (j->outcome == TAKEN) {
        if (failing)
            log_warn("transaction ids can be taken again");
        failing = empty = false;
        STAT_SET(self.st, ids_failing, 0);
        pause_ms = 0;
        if (next == end) {
            next = j->next;
            end = j->next + BLOCK;
        } else {
            spare_next = j->next;
            spare_end = j->next + BLOCK;
        }
    } else {
        /* When a gateway starts, its first range has been requested and may not
         * be there yet. */
        if (!empty && j->outcome == EMPTY)
            empty_ms = self.now_ms;
        empty = j->outcome == EMPTY;
        if (!failing && (!empty || self.now_ms - empty_ms >= PATIENCE_MS)) {
            log_error("%s", j->why);
            failing = true;
            STAT_SET(self.st, ids_failing, 1);
        }
        pause_for(j->outcome == EMPTY ? EMPTY_MS : RETRY_MS);
    }
    free(j);
}

/* Takes a block if one will be needed. */
static void
want(void)
{
    if (taking || end - next > BLOCK / 2 || spare_end > spare_next)
        return;
    if (pause_ms != 0 && self.now_ms - paused_ms < pause_ms)
        return;
    taking = submit(take_work, took, 0, 0);
    if (!taking)
        pause_for(RETRY_MS);
}

void
transaction_ids_open(void)
{
    want();
}

bool
transaction_ids_next(int32_t *id)
{
    if (next == end) {
        next = spare_next;
        end = spare_end;
        spare_next = spare_end = 1;
    }
    bool any = next < end;
    if (any)
        *id = (int32_t)next++;
    want();
    return any;
}

static void
kept(struct helper_job *h)
{
    struct job *j = (struct job *)h;

    fetching = false;
    if (j->outcome == TAKEN)
        log_debug("transaction ids from %" PRId64 " on", j->next);
    else
        log_error("%s", j->why);
    free(j);
    pause_ms = 0;
    want();
}

static void
fetched_cb(void *ctx, const struct redis_value *v)
{
    bool     known = v != NULL && redis_error(v) == NULL;
    uint64_t first;

    (void)ctx;
    fetching = false;
    if (!known)
        return;
    if (!redis_number(v, END_MAX - RANGE, &first))
        log_error(
            "Redis gives numbers that cannot be transaction ids; repair the "
            "key {%s:events:0}:txid:last, or delete it",
            self.conf.redis_prefix);
    else if (first == 0)
        log_error("the transaction ids of the fleet are used up: the number in "
                  "the key {%s:events:0}:txid:last has reached its end, and "
                  "StartTransactions are not answered",
            self.conf.redis_prefix);
    else
        fetching =
            submit(keep_work, kept, (int64_t)first, (int64_t)first + RANGE);
}

static void
raised_cb(void *ctx, const struct redis_value *v)
{
    (void)ctx;
    (void)v;
    fetching = false;
}

/* Once a second: fetches a new range if little is left. Otherwise the fleet's
 * counter is raised to the end of this range, should the server have lost it (a
 * replica that lagged, or FLUSHALL): no other node gets these ids. */
static void
looked(struct helper_job *h)
{
    struct job *j = (struct job *)h;
    int64_t     floor = j->highest > j->end ? j->highest : j->end;

    fetching = false;
    if (j->outcome == TAKEN && redis_ready(0)) {
        bool low = j->end - j->next < LOW;
        redis_begin("FCALL");
        redis_name("txids", "1");
        redis_key(0, "txid", "last");
        redis_addu(low ? RANGE : 0);
        redis_addu((uint64_t)(low || j->end == 0 ? floor : j->end - 1));
        fetching = redis_send(0, low ? fetched_cb : raised_cb, NULL);
    }
    free(j);
}

void
transaction_ids_tick(void)
{
    want();
    if (!redis_on() || self.slot != 0 || fetching)
        return;
    if (!redis_ready(0)) {
        was_ready = false;
        return;
    }
    if (was_ready && self.now_ms - looked_ms < LOOK_MS)
        return;
    was_ready = true;
    looked_ms = self.now_ms;
    fetching = submit(look_work, looked, 0, 0);
}
