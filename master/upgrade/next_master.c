/* next_master: the process of the new program's master. See next_master.h. */
#include "upgrade/next_master.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/master.h"
#include "base/up.h"
#include "sd_notify.h"
#include "upgrade/program.h"
#include "workers/child.h"

static struct {
    pid_t    pid; /* 0: none */
    ev_child child;
    void (*died)(const char *how);
} next;

static void
died_cb(struct ev_loop *loop, ev_child *w, int events)
{
    char how[CHILD_END_LEN];

    (void)events;
    ev_child_stop(loop, w);
    next.pid = 0;
    child_end_text(how, w->rstatus);
    next.died(how);
}

int
next_master_start(
    char *const argv[], void (*died)(const char *how), struct buf *why)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        buf_addf(why, "cannot make a socket pair: %s", strerror(errno));
        return -1;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    pid_t pid = program_start(argv, ends[1]);
    int   error = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        buf_addf(why, "cannot fork: %s", strerror(error));
        return -1;
    }
    next.pid = pid;
    next.died = died;
    ev_child_init(&next.child, died_cb, pid, 0);
    ev_child_start(master.loop, &next.child);
    up_next_pid(pid);
    return ends[0];
}

pid_t
next_master_pid(void)
{
    return next.pid;
}

void
next_master_kill(void)
{
    up_next_pid(0);
    if (next.pid == 0)
        return;
    ev_child_stop(master.loop, &next.child);
    child_kill(&next.pid);
}

/* True if systemd reads the new master's pid from the file when this process
 * has ended (PIDFile=); the unit gives the name of the file. The new master is
 * a child of systemd then. After a notification of MAINPID, while this process
 * is its parent, `systemctl stop` would not wait for its end: all workers would
 * be killed at once. */
static bool
manager_reads_file(void)
{
    const char *file = up_next_pid(next.pid);
    const char *read = getenv("OCPPD_PIDFILE_NEXT");

    return file != NULL && read != NULL && strcmp(file, read) == 0;
}

void
next_master_announce(void)
{
    if (manager_reads_file())
        return;
    sd_notify_main_pid(next.pid);
    up_next_pid(0);
}
