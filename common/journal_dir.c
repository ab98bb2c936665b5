/*
 * journal_dir: the journal's directory, and its events in order. See
 * journal_dir.h.
 *
 * There is one stream per slot, which holds the next event of its slot (its
 * head). The event with the lowest number is returned first. A stream that has
 * reached the end of its file is dry until the next refresh, so a round reads
 * the end of each file only once.
 *
 * A stream leaves a segment when it is at its end and the slot already had a
 * later segment before the end was read, because the writer begins a new file
 * only after it has finished the old one.
 */
#include "journal_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "journal_file.h"
#include "shm.h"

#define DAMAGE_KEPT 32 /* places, until they are reported */

struct stream {
    unsigned slot;
    uint64_t first;           /* first number of the segment being read; 0:
                                 none yet */
    uint64_t            last; /* number of the last event that was read */
    struct journal_file reader;
    struct journal_line head;
    bool                has_head;
    bool                dry;
    bool                sure;  /* an event of the segment was returned */
    int                 error; /* not reported yet */
    uint64_t            noted; /* the segment whose error was reported */
};

/* Where a damaged line is. */
struct damage {
    unsigned slot;
    uint64_t first; /* first number of its segment */
    uint64_t at;    /* offset in bytes where the line begins */
    size_t   len;
};

struct journal_dir {
    char                   *dir;
    int                     dir_fd;
    struct journal_dir_want want;
    struct journal_dir_list list;
    struct stream          *streams; /* sorted by slot */
    size_t                  n;
    size_t                  cur; /* index of the stream whose head was returned;
                                    n: none */
    uint64_t      bad;
    struct damage damage[DAMAGE_KEPT]; /* not reported yet */
    unsigned      damages, reported;
};

uint64_t
journal_dir_mark(const struct shm *shm)
{
    struct shm *s = (struct shm *)shm;
    uint64_t    mark = atomic_load(&s->sequence);

    /* The sequence is loaded before the floors, for the reason given at
       shm_worker.journal_floor. */
    for (unsigned i = 0; i < shm_slots(s); i++) {
        uint64_t floor = atomic_load(&shm_worker(s, i)->journal_floor);
        if (floor < mark)
            mark = floor;
    }
    return mark;
}

static int
compare(const void *a, const void *b)
{
    const struct journal_dir_id *x = a, *y = b;

    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

int
journal_dir_find(int dir_fd, struct journal_dir_list *list)
{
    struct journal_dir_list l = {NULL, 0};
    size_t                  cap = 0;
    struct dirent          *e;
    int                     err = 0;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    *list = l;
    if (fd < 0)
        return errno;
    DIR *d = fdopendir(fd);
    if (d == NULL) {
        err = errno;
        close(fd);
        return err;
    }
    while (errno = 0, (e = readdir(d)) != NULL) {
        struct journal_dir_id id;
        if (!journal_line_file_parse(e->d_name, &id.slot, &id.first))
            continue;
        if (l.v == NULL || l.n == cap) {
            struct journal_dir_id *v = array_grow(l.v, &cap, sizeof *v);
            if (v == NULL) {
                errno = ENOMEM;
                break;
            }
            l.v = v;
        }
        l.v[l.n++] = id;
    }
    err = errno;
    closedir(d);
    if (err != 0) {
        free(l.v);
        return err;
    }
    if (l.n > 1)
        qsort(l.v, l.n, sizeof *l.v, compare);
    *list = l;
    return 0;
}

const struct journal_dir_id *
journal_dir_of(const struct journal_dir_list *list, unsigned slot, size_t *n)
{
    size_t i = 0;

    *n = 0;
    while (i < list->n && list->v[i].slot < slot)
        i++;
    if (i == list->n)
        return NULL;
    while (i + *n < list->n && list->v[i + *n].slot == slot)
        ++*n;
    return list->v + i;
}

void
journal_dir_put_error(struct buf *why, const char *dir, int err)
{
    buf_addf(why, "cannot read the journal in %s: %s; ", dir, strerror(err));
    buf_adds(why,
        err == ENOENT || err == ENOTDIR
            ? "a worker makes this directory below server.state_dir when it "
              "first starts"
            : err == EACCES || err == EPERM
            ? "run this as root, or as the user of the daemon"
            : err == ENOMEM || err == EMFILE || err == ENFILE
            ? "give this process more memory or descriptors (ulimit)"
            : "see the kernel log");
}

struct journal_dir *
journal_dir_open(
    const char *dir, const struct journal_dir_want *want, struct buf *why)
{
    struct journal_dir *s = calloc(1, sizeof *s);

    if (s == NULL || (s->dir = strdup(dir)) == NULL) {
        free(s);
        journal_dir_put_error(why, dir, ENOMEM);
        return NULL;
    }
    s->want = *want;
    s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0) {
        journal_dir_put_error(why, dir, errno);
        journal_dir_close(s);
        return NULL;
    }
    if (!journal_dir_refresh(s, why)) {
        journal_dir_close(s);
        return NULL;
    }
    return s;
}

/* Makes a stream for each slot that has segments. Streams that exist already
 * stay as they are, even if their files were removed. */
static bool
make_streams(struct journal_dir *s)
{
    for (size_t i = 0; i < s->list.n; i++) {
        unsigned slot = s->list.v[i].slot;
        size_t   at = 0;

        if (s->want.slot >= 0 && slot != (unsigned)s->want.slot)
            continue;
        while (at < s->n && s->streams[at].slot < slot)
            at++;
        if (at < s->n && s->streams[at].slot == slot)
            continue;
        struct stream *v = realloc(s->streams, (s->n + 1) * sizeof *v);
        if (v == NULL)
            return false;
        s->streams = v;
        memmove(v + at + 1, v + at, (s->n - at) * sizeof *v);
        v[at] = (struct stream){.slot = slot, .reader = JOURNAL_FILE_CLOSED};
        s->n++;
    }
    return true;
}

/* Releases the event that journal_dir_next() has returned. */
static void
let_go(struct journal_dir *s)
{
    if (s->cur < s->n)
        s->streams[s->cur].has_head = false;
    s->cur = SIZE_MAX;
}

bool
journal_dir_refresh(struct journal_dir *s, struct buf *why)
{
    struct journal_dir_list list;
    int                     err = journal_dir_find(s->dir_fd, &list);
    struct stat             st;

    let_go(s);
    if (err == 0 && fstat(s->dir_fd, &st) == 0 && st.st_nlink == 0) {
        err = ENOENT; /* removed while it was open */
        free(list.v);
    } else if (err == 0) {
        free(s->list.v);
        s->list = list;
        if (!make_streams(s))
            err = ENOMEM;
    }
    for (size_t i = 0; i < s->n; i++)
        s->streams[i].dry = false;
    if (err != 0)
        journal_dir_put_error(why, s->dir, err);
    return err == 0;
}

/* The slot's next segment after the one that begins with `first`; NULL if there
 * is none. */
static const struct journal_dir_id *
later(const struct journal_dir *s, unsigned slot, uint64_t first)
{
    size_t                       n;
    const struct journal_dir_id *id = journal_dir_of(&s->list, slot, &n);

    for (size_t i = 0; i < n; i++)
        if (id[i].first > first)
            return &id[i];
    return NULL;
}

/* True if no event of the segment can be among those that the caller asked for.
   next: the segment that follows it. */
static bool
unwanted(const struct journal_dir *s, const struct journal_dir_id *next, int fd)
{
    struct stat st;

    if (next == NULL)
        return false;
    if (next->first <= s->want.from)
        return true;
    return s->want.since_wall_ms != 0 && fstat(fd, &st) == 0 &&
        (uint64_t)st.st_mtim.tv_sec * 1000 + 1000 < s->want.since_wall_ms;
}

static void
begin_segment(struct stream *t, int fd)
{
    journal_file_open(&t->reader, fd, 0);
    t->reader.ceiling = t->first + JOURNAL_FILE_SPAN;
    t->sure = false;
}

/* Closes the segment that was read. first: the first number of the next one. */
static void
leave_segment(struct journal_dir *s, struct stream *t, uint64_t first)
{
    s->bad += t->reader.bad;
    t->reader.bad = 0;
    journal_file_close(&t->reader);
    t->first = first;
}

/* Opens the slot's next segment; false if there is none. A segment that is in
 * the list and has no file was removed by the retention, or it is the last
 * segment and its first commit has failed. In the second case the writer will
 * make it again, so the stream moves past it only if it can read a later
 * one. */
static bool
advance(struct journal_dir *s, struct stream *t)
{
    const struct journal_dir_id *id;
    char                         name[JOURNAL_NAME_LEN + 1];
    uint64_t                     first = t->first;

    while ((id = later(s, t->slot, first)) != NULL) {
        first = id->first;
        journal_line_file_name(name, id->slot, first);
        int fd = journal_file_openat(s->dir_fd, name, O_RDONLY);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
                return false; /* the next round tries again */
            if (errno != ENOENT) {
                t->error = errno;
                leave_segment(s, t, first);
            }
            continue;
        }
        if (unwanted(s, later(s, t->slot, first), fd)) {
            close(fd);
            continue;
        }
        leave_segment(s, t, first);
        begin_segment(t, fd);
        return true;
    }
    return false;
}

/* True if the file has no name any more. If the first commit to a segment
 * fails, the writer removes the file and later makes another one of the same
 * name. This cannot happen after an event in it is durable. */
static bool
removed(const struct stream *t)
{
    struct stat st;

    return !t->sure && fstat(t->reader.fd, &st) == 0 && st.st_nlink == 0;
}

/* Reads the file that has the segment's name now, from its start; false if
 * there is none. */
static bool
read_anew(struct journal_dir *s, struct stream *t)
{
    char name[JOURNAL_NAME_LEN + 1];

    journal_line_file_name(name, t->slot, t->first);
    int fd = journal_file_openat(s->dir_fd, name, O_RDONLY);
    if (fd < 0)
        return false;
    journal_file_close(&t->reader);
    begin_segment(t, fd);
    return true;
}

static void
damaged(struct journal_dir *s, const struct stream *t,
    const struct journal_line *line)
{
    if (s->damages < DAMAGE_KEPT)
        s->damage[s->damages] =
            (struct damage){t->slot, t->first, line->at, line->len};
    s->damages++;
}

/* Reads the next event of the stream into its head, if this round has one. */
static void
fill(struct journal_dir *s, struct stream *t)
{
    while (!t->has_head && !t->dry) {
        if (t->reader.fd >= 0) {
            enum journal_file_result r =
                journal_file_next(&t->reader, &t->head);
            if (r == JOURNAL_FILE_LINE) {
                if (t->head.number <= t->last || t->head.number < s->want.from)
                    continue; /* a repetition, or not wanted */
                t->last = t->head.number;
                t->has_head = true;
                return;
            }
            if (r == JOURNAL_FILE_DAMAGED) {
                damaged(s, t, &t->head);
                continue;
            }
            if (r == JOURNAL_FILE_ERROR && t->noted != t->first) {
                t->noted = t->first;
                t->error = t->reader.error;
            }
            if (r == JOURNAL_FILE_END && removed(t) && read_anew(s, t))
                continue;
        }
        /* The stream leaves the file only for a segment that is in the list,
         * because the list was made before the end of this file was read. */
        if (!advance(s, t))
            t->dry = true;
    }
}

bool
journal_dir_next(
    struct journal_dir *s, uint64_t below, struct journal_line *line)
{
    size_t best = SIZE_MAX;

    let_go(s);
    for (size_t i = 0; i < s->n; i++) {
        struct stream *t = &s->streams[i];
        if (!t->has_head && !t->dry)
            fill(s, t);
        if (t->has_head &&
            (best == SIZE_MAX || t->head.number < s->streams[best].head.number))
            best = i;
    }
    if (best == SIZE_MAX || s->streams[best].head.number >= below)
        return false;
    s->cur = best;
    *line = s->streams[best].head; /* stays in memory until the next call */
    if (removed(&s->streams[best]))
        read_anew(s, &s->streams[best]);
    else
        s->streams[best].sure = true;
    return true;
}

void
journal_dir_again(struct journal_dir *s)
{
    s->cur = SIZE_MAX;
}

unsigned
journal_dir_slot(const struct journal_dir *s)
{
    return s->cur < s->n ? s->streams[s->cur].slot : 0;
}

bool
journal_dir_waiting(const struct journal_dir *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->streams[i].has_head && i != s->cur)
            return true;
    return false;
}

uint64_t
journal_dir_bad(const struct journal_dir *s)
{
    uint64_t bad = s->bad;

    for (size_t i = 0; i < s->n; i++)
        bad += s->streams[i].reader.bad;
    return bad;
}

bool
journal_dir_trouble(struct journal_dir *s, struct buf *why)
{
    for (size_t i = 0; i < s->n; i++) {
        struct stream *t = &s->streams[i];
        char           name[JOURNAL_NAME_LEN + 1];

        if (t->error == 0)
            continue;
        journal_line_file_name(name, t->slot, t->first);
        buf_addf(why, "cannot read %s/%s: %s; its other events are skipped",
            s->dir, name, strerror(t->error));
        t->error = 0;
        return true;
    }
    return false;
}

bool
journal_dir_damaged(struct journal_dir *s, struct buf *why)
{
    if (s->reported == s->damages) {
        s->reported = s->damages = 0;
        return false;
    }
    if (s->reported == DAMAGE_KEPT) {
        buf_addf(why, "%u more lines are damaged and are skipped",
            s->damages - s->reported);
        s->reported = s->damages;
        return true;
    }
    const struct damage *d = &s->damage[s->reported++];
    char                 name[JOURNAL_NAME_LEN + 1];
    journal_line_file_name(name, d->slot, d->first);
    buf_addf(why,
        "%s/%s: the line of %zu bytes at byte %" PRIu64
        " is damaged and is skipped",
        s->dir, name, d->len, d->at);
    return true;
}

void
journal_dir_close(struct journal_dir *s)
{
    for (size_t i = 0; i < s->n; i++)
        journal_file_free(&s->streams[i].reader);
    if (s->dir_fd >= 0)
        close(s->dir_fd);
    free(s->streams);
    free(s->list.v);
    free(s->dir);
    free(s);
}
