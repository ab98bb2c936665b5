/* segment_writer: the open end of one slot's journal. See segment_writer.h. */
#include "journal/segment_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"

#define DIR_MODE 0750
#define FILE_MODE 0640

/* Makes dir if it does not exist, and makes its name in the parent durable. */
static int
make_dir(const char *dir)
{
    char parent[TAIL_PATH_MAX];

    if (mkdir(dir, DIR_MODE) != 0)
        return errno == EEXIST ? 0 : errno;
    snprintf(parent, sizeof parent, "%s", dir);
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        strcpy(parent, ".");
    else
        slash[slash == parent] = '\0';
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int err = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return err;
}

static int
open_dir(struct tail *t)
{
    t->dir_fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return t->dir_fd >= 0 ? 0 : errno;
}

static bool
refuse(struct tail *t, struct buf *why, const char *what, const char *path,
    int err, const char *remedy)
{
    buf_addf(why, "cannot %s %s: %s; %s", what, path, strerror(err), remedy);
    segment_writer_close(t);
    return false;
}

static bool
take_lock(struct tail *t, struct buf *why)
{
    char name[16], path[TAIL_PATH_MAX + 16];

    snprintf(name, sizeof name, "w%03u.lock", t->slot);
    snprintf(path, sizeof path, "%s/%s", t->dir, name);
    t->lock_fd =
        openat(t->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    /* A full disk must not prevent the worker's start: if the lock file cannot
     * be made, the worker continues without the lock. */
    if (t->lock_fd < 0 && (errno == ENOSPC || errno == EDQUOT))
        return true;
    if (t->lock_fd < 0)
        return refuse(t, why, "write", path, errno,
            "let the user the daemon runs as own that directory and write "
            "in it");
    if (flock(t->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    return refuse(t, why, "lock", path, errno,
        "another process writes this journal: is a second ocppd running with "
        "the same server.state_dir?");
}

bool
segment_writer_open(
    struct tail *t, const char *state_dir, unsigned slot, struct buf *why)
{
    int err;

    *t = (struct tail){.slot = slot, .dir_fd = -1, .lock_fd = -1, .fd = -1};
    if (strlen(state_dir) + sizeof "/" JOURNAL_DIR > sizeof t->dir)
        return refuse(t, why, "use", state_dir, ENAMETOOLONG,
            "give server.state_dir a shorter path");
    if ((err = make_dir(state_dir)) != 0)
        return refuse(t, why, "make the directory", state_dir, err,
            err == ENOENT ? "make the directory above it, or set "
                            "server.state_dir to one that exists"
                          : "make it yourself and give it to the user the "
                            "daemon runs as, or set server.state_dir");
    snprintf(t->dir, sizeof t->dir, "%s/%s", state_dir, JOURNAL_DIR);
    if ((err = make_dir(t->dir)) != 0 || (err = open_dir(t)) != 0)
        return refuse(t, why, "make or open the directory", t->dir, err,
            "let the user the daemon runs as own server.state_dir and write "
            "in it");
    if (faccessat(t->dir_fd, ".", W_OK | X_OK, AT_EACCESS) != 0 &&
        errno != EROFS)
        return refuse(t, why, "write in", t->dir, errno,
            "let the user the daemon runs as own that directory and write "
            "in it");
    return take_lock(t, why);
}

static int
failed(struct tail *t, const char *what, int err)
{
    t->failed = what;
    return err;
}

static void
close_segment(struct tail *t)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

static int
begin(struct tail *t, uint64_t first)
{
    char        name[JOURNAL_NAME_LEN + 1];
    struct stat st;
    int         err;

    t->first = first;
    t->size = 0;
    t->named = false;
    /* The directory may have been removed, and another one made. */
    if (t->dir_fd >= 0 && fstat(t->dir_fd, &st) == 0 && st.st_nlink == 0) {
        close(t->dir_fd);
        t->dir_fd = -1;
    }
    if (t->dir_fd < 0 &&
        ((err = make_dir(t->dir)) != 0 || (err = open_dir(t)) != 0))
        return failed(t, "open the directory of", err);
    journal_line_file_name(name, t->slot, first);
    /* Numbers are unique, so a file with this name can only be an earlier try
     * to write the same batch. */
    t->fd = openat(
        t->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    if (t->fd < 0)
        return failed(t, "make", errno);
    t->born_ms = clock_mono_ms();
    return 0;
}

static int
write_all(struct tail *t, const char *p, size_t len)
{
    uint64_t at = t->size;

    while (len > 0) {
        ssize_t n = pwrite(t->fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(t, "write to", errno);
        if (n == 0)
            return failed(t, "write to", EIO);
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

int
segment_writer_commit(
    struct tail *t, const char *p, size_t len, uint64_t first, uint64_t limit)
{
    struct stat st;
    int         err;

    if (t->fd >= 0 && t->size > 0 && t->size + len > limit)
        close_segment(t);
    if (t->fd < 0 && (err = begin(t, first)) != 0)
        return err;
    if ((err = write_all(t, p, len)) != 0)
        return err;
    if (fdatasync(t->fd) != 0)
        return failed(t, "sync", errno);
    if (!t->named) {
        if (fsync(t->dir_fd) != 0)
            return failed(t, "sync the directory of", errno);
        t->named = true;
    }
    /* The file may have been removed, alone or with its directory. */
    if (fstat(t->fd, &st) != 0)
        return failed(t, "look at", errno);
    if (st.st_nlink == 0)
        return failed(t, "keep", ENOENT);
    t->size += len;
    return 0;
}

void
segment_writer_give_up(struct tail *t)
{
    char name[JOURNAL_NAME_LEN + 1];

    /* If this succeeds, the file holds the durable lines only. If it fails too,
     * the file may hold repeated or torn lines, which readers accept. */
    if (t->fd >= 0 && ftruncate(t->fd, (off_t)t->size) == 0)
        (void)fdatasync(t->fd);
    close_segment(t);
    if (t->size == 0 && t->dir_fd >= 0) {
        journal_line_file_name(name, t->slot, t->first);
        (void)unlinkat(t->dir_fd, name, 0);
    }
}

void
segment_writer_age(struct tail *t, uint64_t age_ms)
{
    if (t->fd >= 0 && t->size > 0 && clock_mono_ms() - t->born_ms >= age_ms)
        close_segment(t);
}

void
segment_writer_path(const struct tail *t, char *out, size_t size)
{
    char name[JOURNAL_NAME_LEN + 1];

    journal_line_file_name(name, t->slot, t->first);
    snprintf(out, size, "%s/%s", t->dir, name);
}

void
segment_writer_close(struct tail *t)
{
    close_segment(t);
    if (t->dir_fd >= 0)
        close(t->dir_fd);
    if (t->lock_fd >= 0)
        close(t->lock_fd);
    t->dir_fd = t->lock_fd = -1;
}
