/* locks: the pid file and the lock of the state directory. See locks.h. */
#include "locks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/master.h"
#include "clock.h"
#include "log.h"

/* Ms to wait longer than the time in which workers without a master close their
 * connections. */
#define ORPHANS_GRACE_MS 15000

static int  pidfile = -1;
static char pidfile_path[CONF_TEXT_MAX];

/* The lock, not the file, shows that a daemon runs, because the lock ends with
 * the process.
 */
bool
locks_take_pidfile(const char *path, struct buf *why)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char         text[32];

    pidfile = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (pidfile < 0) {
        buf_addf(why,
            "server.pidfile = %s: cannot open it: %s; the user that starts "
            "ocppd must be able to write it",
            path, strerror(errno));
        return false;
    }
    if (fcntl(pidfile, F_SETLK, &lock) != 0) {
        int error = errno;
        if (fcntl(pidfile, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
            buf_addf(why,
                "server.pidfile = %s: another ocppd runs, process "
                "%d; stop it first, or give this one its own "
                "pidfile",
                path, (int)lock.l_pid);
        else
            buf_addf(why, "server.pidfile = %s: cannot lock it: %s", path,
                strerror(error));
        close(pidfile);
        pidfile = -1;
        return false;
    }
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(pidfile, 0) != 0 ||
        pwrite(pidfile, text, (size_t)n, 0) != n) {
        buf_addf(why, "server.pidfile = %s: cannot write it: %s", path,
            strerror(errno));
        return false;
    }
    snprintf(pidfile_path, sizeof pidfile_path, "%s", path);
    return true;
}

/*
 * Takes two locks on one file. The master's record lock (fcntl) ends with the
 * master. The lock of the open file (flock) is shared with all processes that
 * are forked later, and ends with the last of them. So a start finds out
 * whether another daemon runs; and if a master was killed, the start waits
 * until its workers, which then drain, have ended.
 */
bool
locks_take_state_dir(const struct config *c, struct buf *why)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char         path[CONF_TEXT_MAX + 16];
    uint64_t     until, now = clock_mono_ms();
    bool         logged = false;

    snprintf(path, sizeof path, "%s/lock", c->server_state_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        buf_addf(why,
            "server.state_dir = %s: cannot open %s: %s; the user that starts "
            "ocppd must be able to write it",
            c->server_state_dir, path, strerror(errno));
        return false;
    }
    if (fcntl(fd, F_SETLK, &lock) != 0) {
        if (fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
            lock.l_pid = 0;
        buf_addf(why,
            "server.state_dir = %s: another ocppd uses it, process %d; stop it "
            "first, or give this one its own server.state_dir",
            c->server_state_dir, (int)lock.l_pid);
        close(fd);
        return false;
    }
    until = now + c->server_drain_time + c->websocket_close_timeout +
        ORPHANS_GRACE_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            buf_addf(why, "server.state_dir = %s: cannot lock %s: %s",
                c->server_state_dir, path, strerror(errno));
            close(fd);
            return false;
        }
        if (clock_mono_ms() > until) {
            buf_addf(why,
                "server.state_dir = %s: worker processes of a former ocppd "
                "still use it; `fuser %s` names them, stop them first",
                c->server_state_dir, path);
            close(fd);
            return false;
        }
        if (!logged)
            log_warn("the workers of a former ocppd, whose master was killed, "
                     "still close their connections; waiting for them");
        logged = true;
        nanosleep(&(struct timespec){0, 50 * 1000000}, NULL);
    }
    master.lockfd = fd;
    return true;
}

static void
set_lock(int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

    if (fd >= 0)
        fcntl(fd, F_SETLK, &lock);
}

void
locks_release(void)
{
    set_lock(pidfile, F_UNLCK);
    set_lock(master.lockfd, F_UNLCK);
}

bool
locks_take_over(const struct config *c, struct buf *why)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(master.lockfd, F_SETLK, &lock) != 0) {
        buf_addf(why, "server.state_dir = %s: cannot lock it: %s",
            c->server_state_dir, strerror(errno));
        return false;
    }
    if (pidfile >= 0) /* the attempt to lock has failed, and nothing has
                         changed */
        set_lock(pidfile, F_WRLCK);
    else if (c->server_pidfile[0] != '\0' &&
        !locks_take_pidfile(c->server_pidfile, why))
        return false;
    return true;
}

const char *
locks_next_pid(pid_t pid)
{
    static char path[CONF_TEXT_MAX + 16];
    char        text[32];

    if (pidfile < 0)
        return NULL;
    snprintf(path, sizeof path, "%s.next", pidfile_path);
    if (pid == 0) {
        unlink(path);
        return NULL;
    }
    int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    int  n = snprintf(text, sizeof text, "%d\n", (int)pid);
    bool good = fd >= 0 && write(fd, text, (size_t)n) == n;
    if (!good)
        log_warn("upgrade: cannot write %s: %s; if the master is killed before "
                 "the new one has taken over, systemd ends the service",
            path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return good ? path : NULL;
}

void
locks_leave(void)
{
    if (pidfile < 0)
        return;
    locks_next_pid(0);
    unlink(pidfile_path);
    close(pidfile);
    pidfile = -1;
}
