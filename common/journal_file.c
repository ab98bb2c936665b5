/* journal_file: the events of one segment file. See journal_file.h. */
#include "journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK ((size_t)64 << 10)
#define KEPT ((size_t)2 << 20)

int
journal_file_openat(int dir_fd, const char *name, int mode)
{
    struct stat st;
    int fd = openat(dir_fd, name, mode | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
        return fd;
    close(fd);
    errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    return -1;
}

void
journal_file_open(struct journal_file *r, int fd, uint64_t offset)
{
    r->fd = fd;
    r->error = 0;
    r->bad = r->ceiling = 0;
    r->checked = false;
    r->pos = r->len = 0;
    /* A line starts at offset if the byte before is a newline. */
    r->skipping = offset > 0;
    r->offset = offset > 0 ? offset - 1 : 0;
}

/* Reads more bytes of the file. 1: some were read; 0: end of the file; -1:
   error. */
static int
more(struct journal_file *r)
{
    if (r->pos > 0) {
        memmove(r->p, r->p + r->pos, r->len - r->pos);
        r->len -= r->pos;
        r->pos = 0;
    }
    if (r->len == 0 && r->cap > KEPT) { /* after an unusually long line */
        free(r->p);
        r->p = NULL;
        r->cap = 0;
    }
    if (r->cap - r->len < CHUNK) {
        size_t cap = r->cap ? 2 * r->cap : 2 * CHUNK;
        char  *p = realloc(r->p, cap);
        if (p == NULL) {
            r->error = ENOMEM;
            return -1;
        }
        r->p = p;
        r->cap = cap;
    }
    for (;;) {
        ssize_t n =
            pread(r->fd, r->p + r->len, r->cap - r->len, (off_t)r->offset);
        if (n >= 0) {
            r->len += (size_t)n;
            r->offset += (uint64_t)n;
            return n > 0;
        }
        if (errno != EINTR) {
            r->error = errno;
            return -1;
        }
    }
}

/* Drops the bytes in memory up to the next line feed, and the line feed. */
static void
skip(struct journal_file *r)
{
    const char *end =
        r->len > r->pos ? memchr(r->p + r->pos, '\n', r->len - r->pos) : NULL;

    r->skipping = end == NULL;
    r->pos = end ? (size_t)(end + 1 - r->p) : r->len;
}

/* True if a line is an event: its number and checksum must fit the lines before
   it. */
static bool
believed(struct journal_file *r, struct journal_line *line)
{
    if (line->checked) {
        r->checked = true;
        /* The event ends where its checksum begins. */
        line->len -= JOURNAL_CHECK_LEN;
        r->p[r->pos - JOURNAL_CHECK_LEN - 1] = '}';
        line->len++;
        return true;
    }
    return !r->checked && (r->ceiling == 0 || line->number < r->ceiling);
}

enum journal_file_result
journal_file_next(struct journal_file *r, struct journal_line *line)
{
    size_t seen = 0; /* bytes without a line feed */

    for (;;) {
        if (r->skipping)
            skip(r);
        while (!r->skipping && r->len - r->pos > seen) {
            enum journal_line_piece piece =
                journal_line_next(r->p + r->pos, r->len - r->pos, line);
            if (piece == JOURNAL_LINE_PART) {
                seen = r->len - r->pos;
                break;
            }
            line->at = journal_file_at(r);
            r->pos += line->len + 1;
            if (piece == JOURNAL_LINE_WHOLE && believed(r, line))
                return JOURNAL_FILE_LINE;
            r->bad++;
            return JOURNAL_FILE_DAMAGED;
        }
        if (seen >= JOURNAL_LINE_MAX) {
            r->skipping = true;
            r->bad++;
            line->p = r->p + r->pos;
            line->at = journal_file_at(r);
            line->len = seen;
            line->number = 0;
            r->pos = r->len;
            return JOURNAL_FILE_DAMAGED;
        }
        int n = more(r);
        if (n <= 0)
            return n == 0 ? JOURNAL_FILE_END : JOURNAL_FILE_ERROR;
    }
}

uint64_t
journal_file_at(const struct journal_file *r)
{
    return r->offset - (r->len - r->pos);
}

void
journal_file_close(struct journal_file *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

void
journal_file_free(struct journal_file *r)
{
    journal_file_close(r);
    free(r->p);
    *r = JOURNAL_FILE_CLOSED;
}
