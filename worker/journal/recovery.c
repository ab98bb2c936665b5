/* recovery: reads back and repairs a slot's journal. See recovery.h. */
#include "journal/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal_dir.h"
#include "journal_file.h"
#include "log.h"

/* Bytes at a file's end that usually hold a whole line and a torn one. */
#define TAIL_BYTES ((uint64_t)4 << 20)
#define DAMAGED_LOGGED 20

struct job {
    int              dir_fd;
    const char      *dir;
    recovery_fn     *line;
    void            *ctx;
    struct recovery *r;
    struct buf      *why;
};

static bool
refuse(struct job *j, const char *what, const char *name, int err)
{
    buf_addf(
        j->why, "cannot %s %s/%s: %s; ", what, j->dir, name, strerror(err));
    buf_adds(j->why,
        err == EACCES || err == EPERM
            ? "let the user the daemon runs as own the files of the journal"
            : err == EMFILE || err == ENFILE
            ? "raise the limit of open files"
            : "see the kernel log; if the file cannot be repaired, "
              "move it away: its events are then no longer known here");
    return false;
}

/* Logs a damaged line with its place. If there are many, only the first ones
   are logged. */
static void
damaged(struct job *j, const char *name, const struct journal_line *line)
{
    if (j->r->bad++ < DAMAGED_LOGGED)
        log_error("journal: %s/%s: the line of %zu bytes at byte %" PRIu64
                  " is damaged and is skipped; `ocppctl journal check` "
                  "lists all such places",
            j->dir, name, line->len, line->at);
}

/* Reads the events from offset on. *good is set to the offset behind the last
 * whole line. A line that contains a NUL was not written completely, so it does
 * not count as whole. Returns 0 or an errno. */
static int
walk(struct job *j, int fd, const char *name, uint64_t first, uint64_t offset,
    uint64_t *good)
{
    struct journal_file      rd = JOURNAL_FILE_CLOSED;
    struct journal_line      line;
    enum journal_file_result res;

    *good = 0;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return errno;
    journal_file_open(&rd, copy, offset);
    rd.ceiling = first + JOURNAL_FILE_SPAN;
    while ((res = journal_file_next(&rd, &line)) == JOURNAL_FILE_LINE ||
        res == JOURNAL_FILE_DAMAGED) {
        if (res == JOURNAL_FILE_DAMAGED) {
            if (memchr(line.p, '\0', line.len) == NULL)
                *good = journal_file_at(&rd);
            damaged(j, name, &line);
            continue;
        }
        *good = journal_file_at(&rd);
        if (line.number <= j->r->last)
            continue; /* a repetition */
        j->r->last = line.number;
        j->r->lines++;
        if (j->line != NULL)
            j->line(j->ctx, line.number, line.p, line.len);
    }
    int err = res == JOURNAL_FILE_ERROR ? rd.error : 0;
    journal_file_free(&rd);
    return err;
}

/* Reads a segment of this slot. */
static bool
own(struct job *j, const struct journal_dir_id *id, uint64_t budget,
    bool newest)
{
    char        name[JOURNAL_NAME_LEN + 1];
    struct stat st = {0};
    uint64_t    good;
    int         err = 0;

    journal_line_file_name(name, id->slot, id->first);
    int fd = journal_file_openat(j->dir_fd, name, newest ? O_RDWR : O_RDONLY);
    if (fd < 0)
        return errno == ENOENT || refuse(j, "open", name, errno);
    if (fstat(fd, &st) != 0 || fsync(fd) != 0)
        err = errno;
    uint64_t size = err ? 0 : (uint64_t)st.st_size;
    uint64_t from = size > budget ? size - budget : 0;
    if (err == 0)
        err = walk(j, fd, name, id->first, from, &good);
    if (err == 0 && newest && good == 0 && from > 0)
        err = walk(j, fd, name, id->first, 0, &good); /* these bytes hold no
                                                       * whole line: read the
                                                       * whole file */
    if (err != 0) {
        close(fd);
        return refuse(j, "read", name, err);
    }
    if (newest && good < size) {
        log_warn("journal: %s/%s is torn after byte %" PRIu64 " (the writer "
                 "was interrupted); cut %" PRIu64
                 " bytes, for which nothing was "
                 "acknowledged",
            j->dir, name, good, size - good);
        j->r->cut += size - good;
        if (ftruncate(fd, (off_t)good) != 0 || fsync(fd) != 0)
            err = errno;
    }
    close(fd);
    if (err == 0 && newest && good == 0 && unlinkat(j->dir_fd, name, 0) != 0)
        err = errno;
    return err == 0 || refuse(j, "cut", name, err);
}

/* The highest number in the newest segment of another slot. The worker of that
 * slot may be writing it. If it cannot be read, the number in its name is used.
 */
static uint64_t
others(struct job *j, const struct journal_dir_id *id)
{
    char                name[JOURNAL_NAME_LEN + 1];
    struct stat         st;
    struct journal_file rd = JOURNAL_FILE_CLOSED;
    struct journal_line line;
    uint64_t            last = id->first;

    journal_line_file_name(name, id->slot, id->first);
    int fd = journal_file_openat(j->dir_fd, name, O_RDONLY);
    if (fd < 0)
        return last;
    uint64_t size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    journal_file_open(&rd, fd, size > TAIL_BYTES ? size - TAIL_BYTES : 0);
    enum journal_file_result res;
    rd.ceiling = id->first + JOURNAL_FILE_SPAN;
    while ((res = journal_file_next(&rd, &line)) == JOURNAL_FILE_LINE ||
        res == JOURNAL_FILE_DAMAGED)
        if (res == JOURNAL_FILE_LINE && line.number > last)
            last = line.number;
    journal_file_free(&rd);
    return last;
}

/* Of n segments, the index of the one in which the last max bytes begin.
 * *budget is set to the number of these bytes in that segment. */
static size_t
first_of(int dir_fd, unsigned slot, const struct journal_dir_id *id, size_t n,
    uint64_t max, uint64_t *budget)
{
    struct stat st;
    size_t      i = n;

    *budget = 0;
    for (uint64_t left = max; i > 0 && left > 0; left -= *budget) {
        char name[JOURNAL_NAME_LEN + 1];
        journal_line_file_name(name, slot, id[--i].first);
        if (fstatat(dir_fd, name, &st, 0) != 0)
            st.st_size = 0;
        *budget = (uint64_t)st.st_size < left ? (uint64_t)st.st_size : left;
    }
    return i;
}

/* Reads a segment without changing it. */
static void
look(struct job *j, const struct journal_dir_id *id, uint64_t budget)
{
    char        name[JOURNAL_NAME_LEN + 1];
    struct stat st = {0};
    uint64_t    good;

    journal_line_file_name(name, id->slot, id->first);
    int fd = journal_file_openat(j->dir_fd, name, O_RDONLY);
    int err = fd < 0 || fstat(fd, &st) != 0 ? errno : 0;
    if (err == 0) {
        uint64_t size = (uint64_t)st.st_size;
        err = walk(
            j, fd, name, id->first, size > budget ? size - budget : 0, &good);
    }
    if (fd >= 0)
        close(fd);
    if (err != 0 && err != ENOENT)
        log_error("journal: cannot read %s/%s: %s; a StartTransaction in it "
                  "is not recognised when it is sent again",
            j->dir, name, strerror(err));
}

/* The slots whose segments are read: those from `slots` on (they have no worker
 * any more), the other slots below, or this slot. */
enum which { VANISHED, NEIGHBOURS, OWN };

static bool
is_one(enum which which, unsigned s, unsigned slot, unsigned slots)
{
    switch (which) {
    case VANISHED:
        return s >= slots && s % slots == slot;
    case NEIGHBOURS:
        return s < slots && s != slot;
    default:
        return s == slot;
    }
}

static void
look_at_slots(int dir_fd, const char *dir, unsigned slot, unsigned slots,
    enum which which, uint64_t max, recovery_fn *line, void *ctx,
    struct recovery *r)
{
    struct journal_dir_list list;

    int err = journal_dir_find(dir_fd, &list);
    if (err != 0) {
        log_error(
            "journal: cannot read the directory %s: %s; the events of other "
            "workers in it are not known here",
            dir, strerror(err));
        return;
    }
    for (size_t i = 0, n; i < list.n; i += n) {
        unsigned                     s = list.v[i].slot;
        const struct journal_dir_id *id = journal_dir_of(&list, s, &n);
        struct recovery              here = {0};
        struct job                   j = {dir_fd, dir, line, ctx, &here, NULL};
        uint64_t                     budget;
        if (!is_one(which, s, slot, slots))
            continue;
        for (size_t k = first_of(dir_fd, s, id, n, max, &budget); k < n; k++) {
            look(&j, &id[k], budget);
            budget = max;
        }
        r->lines += here.lines;
        if (here.last > r->last_any)
            r->last_any = here.last;
    }
    free(list.v);
}

void
recovery_orphans(int dir_fd, const char *dir, unsigned slot, unsigned slots,
    uint64_t max, recovery_fn *line, void *ctx, struct recovery *r)
{
    look_at_slots(dir_fd, dir, slot, slots, VANISHED, max, line, ctx, r);
}

void
recovery_neighbours(int dir_fd, const char *dir, unsigned slot, unsigned slots,
    uint64_t max, recovery_fn *line, void *ctx, struct recovery *r)
{
    look_at_slots(dir_fd, dir, slot, slots, NEIGHBOURS, max, line, ctx, r);
}

void
recovery_own(int dir_fd, const char *dir, unsigned slot, uint64_t max,
    recovery_fn *line, void *ctx, struct recovery *r)
{
    look_at_slots(dir_fd, dir, slot, slot + 1, OWN, max, line, ctx, r);
}

bool
recovery_run(int dir_fd, const char *dir, unsigned slot, uint64_t max,
    recovery_fn *line, void *ctx, struct recovery *r, struct buf *why)
{
    struct job              j = {dir_fd, dir, line, ctx, r, why};
    struct journal_dir_list list;
    bool                    ok = true;
    size_t                  n;

    *r = (struct recovery){0};
    if (max < TAIL_BYTES || line == NULL)
        max = TAIL_BYTES;
    int err = journal_dir_find(dir_fd, &list);
    if (err != 0)
        return refuse(&j, "read the directory", ".", err);

    const struct journal_dir_id *id = journal_dir_of(&list, slot, &n);
    uint64_t                     budget;
    size_t i = first_of(dir_fd, slot, id, n, max, &budget);
    for (; ok && i < n; i++, budget = max)
        ok = own(&j, &id[i], budget, i == n - 1);
    if (ok && n > 0 && id[n - 1].first > r->last)
        r->last_any = id[n - 1].first; /* its events may be lost, but the number
                                          in its name was drawn */
    if (ok && n > 0 && fsync(dir_fd) != 0)
        ok = refuse(&j, "sync the directory", ".", errno);

    if (r->last > r->last_any)
        r->last_any = r->last;
    for (i = 0; ok && i < list.n; i++) {
        /* the newest of each slot */
        if (list.v[i].slot == slot ||
            (i + 1 < list.n && list.v[i + 1].slot == list.v[i].slot))
            continue;
        uint64_t last = others(&j, &list.v[i]);
        if (last > r->last_any)
            r->last_any = last;
    }
    free(list.v);
    if (ok && r->bad > 0)
        log_error("journal: %" PRIu64 " lines of slot %u in %s are damaged",
            r->bad, slot, dir);
    return ok;
}
