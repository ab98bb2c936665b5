/* state_file: the records of the segment in a file. See state_file.h. */
#include "upgrade/state_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/master.h"
#include "fields.h"
#include "hash.h"
#include "shm_state.h"

#define PER_TURN 2000 /* entries, which take some milliseconds */
#define TEXT_MAX (64u << 20)

static bool
flush(struct state_file *s)
{
    for (size_t at = 0; at < s->text.len;) {
        ssize_t n = write(s->fd, s->text.p + at, s->text.len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    explicit_bzero(s->text.p, s->text.len);
    buf_clear(&s->text);
    return true;
}

static void
finish(struct state_file *s, bool good)
{
    int fd = s->fd;
    int error = errno;

    ev_idle_stop(master.loop, &s->idle);
    s->fd = -1;
    buf_free(&s->text);
    errno = error;
    s->done(good ? fd : -1);
    if (fd >= 0)
        close(fd);
}

/* True if the entry has to be written to the rest. */
static bool
is_wanted(const struct state_file *s, uint32_t i, uint32_t sum)
{
    cref owner = atomic_load(&registry_at(shm_registry(master.shm), i)->owner);

    /* The entry of a connection that has moved was sent with the connection. */
    return sum != s->sums[i] && (owner == 0 || s->lost[cref_slot(owner)]);
}

static void
put_entry(struct state_file *s, uint32_t i)
{
    size_t had = s->text.len;

    if (!shm_state_write_entry(master.shm, i, &s->text))
        return;
    uint32_t sum =
        (uint32_t)hash_sum(s->text.p + had, s->text.len - had, 0) | 1;
    if (!s->rest)
        s->sums[i] = sum;
    else if (!is_wanted(s, i, sum))
        s->text.len = had;
}

static void
idle_cb(struct ev_loop *loop, ev_idle *w, int events)
{
    struct state_file *s = w->data;
    uint32_t           used = registry_used(shm_registry(master.shm));

    (void)loop, (void)events;
    for (int n = 0; n < PER_TURN && s->at < used; n++)
        put_entry(s, s->at++);
    bool good = !s->text.overflow && flush(s);
    if (!good || s->at >= used)
        finish(s, good);
}

static void
begin(struct state_file *s, bool rest, void (*done)(int fd))
{
    s->done = done;
    s->rest = rest;
    s->at = 0;
    s->text = BUF_INIT(TEXT_MAX);
    s->fd = memfd_create("ocppd-upgrade", MFD_CLOEXEC);
    ev_idle_init(&s->idle, idle_cb);
    s->idle.data = s;
    if (!rest) {
        free(s->sums);
        s->sums = calloc(shm_capacity(master.shm), sizeof *s->sums);
        memset(s->lost, 0, sizeof s->lost);
        shm_state_write(master.shm,
            penalty_rows(master.config.server_max_connections), &s->text);
    }
    if (s->fd < 0 || s->sums == NULL)
        finish(s, false);
    else
        ev_idle_start(master.loop, &s->idle);
}

void
state_file_write(struct state_file *s, void (*done)(int fd))
{
    begin(s, false, done);
}

void
state_file_lost(struct state_file *s, unsigned slot)
{
    s->lost[slot] = true;
}

void
state_file_write_rest(struct state_file *s, void (*done)(int fd))
{
    begin(s, true, done);
}

void
state_file_close(struct state_file *s)
{
    if (s->done != NULL)
        ev_idle_stop(master.loop, &s->idle);
    if (s->fd > 0)
        close(s->fd);
    s->fd = -1;
    buf_free(&s->text);
    free(s->sums);
    s->sums = NULL;
}

bool
state_file_read(int fd, void (*record)(struct fields *f))
{
    static struct fields f;
    struct stat          st;
    bool                 good = true;

    if (fstat(fd, &st) != 0)
        return false;
    if (st.st_size == 0)
        return true;
    size_t size = (size_t)st.st_size;
    char  *text = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (text == MAP_FAILED)
        return false;
    struct buf line = BUF_INIT(1u << 20);
    for (size_t at = 0; good && at < size;) {
        char  *nl = memchr(text + at, '\n', size - at);
        size_t n = nl != NULL ? (size_t)(nl - text) - at + 1 : size - at;
        buf_clear(&line);
        good = buf_add(&line, text + at, n) && buf_reserve(&line, 1) &&
            fields_parse(&f, line.p, n);
        if (good)
            record(&f);
        explicit_bzero(line.p, line.len);
        at += n;
    }
    buf_free(&line);
    munmap(text, size);
    return good;
}
