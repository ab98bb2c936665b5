/*
 * journal_fix: a journal in a directory of its own, for tests.
 *
 * Lines are made by fix_line() from the event's number and a length, so that
 * a reader can check every byte of it.
 */
#ifndef TEST_UNIT_JOURNAL_FIX_H
#define TEST_UNIT_JOURNAL_FIX_H

#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "config_read.h"
#include "journal/journal.h"
#include "journal_dir.h"
#include "unit.h"

#define FIX_LINE_MIN 80

static struct config   fix_conf;
static struct shm     *fix_shm;
static struct ev_loop *fix_loop;
static char            fix_dir[64];   /* state_dir */
static char            fix_files[80]; /* directory of the segments */

static __attribute__((unused)) size_t
fix_line(char *out, uint64_t number, size_t len)
{
    int n = sprintf(out,
        "{\"eventId\":\"%016" PRIx64 "-n1\",\"len\":%zu,"
        "\"fill\":\"",
        number, len);

    while ((size_t)n < len - 2)
        out[n] = (char)('a' + (number + (uint64_t)n) % 26), n++;
    out[n++] = '"';
    out[n++] = '}';
    return (size_t)n;
}

static __attribute__((unused)) bool
fix_is_whole(const struct journal_line *line)
{
    static char want[JOURNAL_LINE_MAX];
    const char *v;
    size_t      n;

    if (!journal_line_field(line->p, line->len, "len", &v, &n))
        return false;
    size_t len = strtoul(v, NULL, 10);
    return len == line->len && len < sizeof want &&
        fix_line(want, line->number, len) == len &&
        memcmp(want, line->p, len) == 0;
}

static __attribute__((unused)) void
fix_empty_dir(const char *dir)
{
    DIR           *d = opendir(dir);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d != NULL)
        closedir(d);
}

static __attribute__((unused)) void
fix_setup(unsigned slots)
{
    struct buf  why = BUF_INIT(4096);
    int         fd;
    const char *tmp = getenv("TMPDIR");

    CHECK(config_read(&fix_conf, NULL, NULL, 0, &why));
    buf_free(&why);
    snprintf(fix_dir, sizeof fix_dir, "%s/journal.XXXXXX", tmp ? tmp : "/tmp");
    if (mkdtemp(fix_dir) == NULL) {
        perror(fix_dir);
        exit(1);
    }
    snprintf(fix_files, sizeof fix_files, "%s/journal", fix_dir);
    snprintf(fix_conf.server_state_dir, sizeof fix_conf.server_state_dir, "%s",
        fix_dir);
    fix_conf.server_max_connections = fix_conf.server_max_identities = 16;
    fix_shm = shm_make(&fix_conf, slots, "n1", &fd);
    close(fd);
    fix_loop = ev_default_loop(0);
}

static __attribute__((unused)) void
fix_teardown(void)
{
    munmap(fix_shm, fix_shm->size);
    fix_empty_dir(fix_files);
    rmdir(fix_files);
    rmdir(fix_dir);
}

static __attribute__((unused)) bool
fix_open(unsigned slot, void (*fn)(void *, uint64_t, const char *, size_t))
{
    struct buf why = BUF_INIT(4096);
    bool       ok = journal_open(&(struct journal_env){.shm = fix_shm,
                                     .slot = slot,
                                     .loop = fix_loop,
                                     .conf = &fix_conf,
                                     .recover_line = fn,
                                     .recover_max = JOURNAL_RECOVER_MAX},
              &why);

    if (!ok)
        fprintf(stderr, "%s\n", buf_cstr(&why));
    buf_free(&why);
    return ok;
}

/* Appends an event. Returns its number, or 0 if it was refused. */
static __attribute__((unused)) uint64_t
fix_append(size_t len)
{
    static char line[JOURNAL_LINE_MAX + 1024];
    uint64_t    number = journal_begin();

    len = fix_line(line, number, len);
    return journal_append(number, line, len) ? number : 0;
}

/* Runs the loop until everything that was appended is durable. Returns false
 * if that takes longer than ms. */
static __attribute__((unused)) bool
fix_wait(uint64_t number, unsigned ms)
{
    uint64_t end = clock_mono_ms() + ms;

    while (journal_committed() < number && clock_mono_ms() < end) {
        ev_run(fix_loop, EVRUN_NOWAIT);
        usleep(200);
    }
    return journal_committed() >= number;
}

/* Reads all events below the mark, and checks their form and order. Returns
 * their number; *last is the highest number of an event. */
static __attribute__((unused)) unsigned
fix_read(uint64_t mark, uint64_t *last)
{
    struct buf              why = BUF_INIT(4096);
    struct journal_dir_want want = {.slot = -1};
    struct journal_dir     *s = journal_dir_open(fix_files, &want, &why);
    struct journal_line     line;
    unsigned                n = 0, wrong = 0;

    *last = 0;
    CHECK(s != NULL);
    for (; s != NULL && journal_dir_next(s, mark, &line); n++) {
        wrong += !fix_is_whole(&line) || line.number <= *last;
        *last = line.number;
    }
    CHECK_EQ(wrong, 0);
    if (s != NULL)
        journal_dir_close(s);
    buf_free(&why);
    return n;
}

/* Writes the bytes of a segment. */
static __attribute__((unused)) void
fix_put(unsigned slot, uint64_t first, const char *bytes, size_t len)
{
    char name[JOURNAL_NAME_LEN + 1], path[200];

    journal_line_file_name(name, slot, first);
    snprintf(path, sizeof path, "%s/%s", fix_files, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    CHECK_EQ(write(fd, bytes, len), len);
    close(fd);
}

static __attribute__((unused)) size_t
fix_count(struct journal_dir_list *list)
{
    int fd = open(fix_files, O_RDONLY | O_DIRECTORY);

    CHECK_EQ(journal_dir_find(fd, list), 0);
    close(fd);
    return list->n;
}

#endif
