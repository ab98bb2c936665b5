/* cursor: keeps the position of a reader of `ocppctl events`. See cursor.h. */
#include "ctl/cursor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "file.h"

#define TEXT_MAX 64

bool
cursor_open(struct cursor *c, const char *path, uint64_t *from, struct buf *why)
{
    struct buf  text = BUF_INIT(TEXT_MAX);
    struct stat st;
    char       *end;
    bool        good = true;

    *c = (struct cursor){.path = path};
    *from = 0;
    if (fstat(STDOUT_FILENO, &st) == 0) {
        c->pipe = S_ISFIFO(st.st_mode);
        c->file = S_ISREG(st.st_mode);
    }
    switch (file_read(path, &text, why)) {
    case FILE_MISSING:
        break;
    case FILE_FAILED:
        good = false;
        break;
    case FILE_READ:
        *from = c->saved = strtoull(buf_cstr(&text), &end, 16);
        good = end == text.p + 16 && (*end == '\n' || *end == '\0');
        if (!good)
            buf_addf(why,
                "%s holds no cursor (16 hexadecimal digits); name another "
                "file, or remove it to begin with the first event",
                path);
    }
    buf_free(&text);
    return good;
}

void
cursor_add(struct cursor *c, uint64_t number, size_t bytes)
{
    if (c->path == NULL)
        return;
    c->written += bytes;
    if (bytes == 0 && c->n > 0) {
        c->steps[c->n - 1].number = number;
        return;
    }
    if (c->n == c->cap) {
        void *more = array_grow(c->steps, &c->cap, sizeof *c->steps);
        if (more == NULL)
            return; /* the event is repeated after a restart */
        c->steps = more;
    }
    c->steps[c->n++] = (struct cursor_step){number, c->written};
}

/* The number of bytes of the output that the reader has read. */
static uint64_t
taken(const struct cursor *c)
{
    int unread = 0;

    if (!c->pipe || ioctl(STDOUT_FILENO, FIONREAD, &unread) != 0)
        return c->written;
    return c->written - (uint64_t)unread;
}

bool
cursor_save(struct cursor *c, struct buf *why)
{
    uint64_t done = c->saved, upto;
    size_t   n = 0;
    char     text[TEXT_MAX];

    if (c->path == NULL || c->n == 0)
        return true;
    if (c->file)
        fdatasync(STDOUT_FILENO);
    upto = taken(c);
    /* Events that were skipped at the beginning have no bytes. */
    for (; n < c->n &&
         (c->pipe && c->steps[n].end > 0 ? c->steps[n].end < upto
                                         : c->steps[n].end <= upto);
         n++)
        done = c->steps[n].number;
    memmove(c->steps, c->steps + n, (c->n - n) * sizeof *c->steps);
    c->n -= n;
    if (done == c->saved)
        return true;
    int len = snprintf(text, sizeof text, "%016" PRIx64 "\n", done);
    if (!file_replace(c->path, text, (size_t)len, (uid_t)-1, (gid_t)-1, why))
        return false;
    c->saved = done;
    return true;
}

bool
cursor_waits(const struct cursor *c)
{
    return c->n > 0;
}

bool
cursor_all_read(const struct cursor *c)
{
    return taken(c) == c->written;
}
