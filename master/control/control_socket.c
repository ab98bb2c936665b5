/* control_socket: the socket that accepts the clients. See control_socket.h. */
#include "control/control_socket.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/master.h"
#include "clock.h"
#include "control/control.h"
#include "log.h"

/* Pause after a failure such as too few descriptors. */
#define ACCEPT_PAUSE_S 0.2
#define ACCEPT_LOG_MS 60000

static ev_io    listener;
static ev_timer accept_pause;
static char     socket_path[CONF_TEXT_MAX];

/* --- its clients --------------------------------------------------------- */

static void
resume_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)w, (void)events;
    ev_io_start(loop, &listener);
}

/* The client stays in the queue, so the socket stays readable, and without a
 * pause the loop would spin. */
static void
pause_accepting(int error)
{
    static uint64_t logged_ms;
    uint64_t        now = clock_mono_ms();

    ev_io_stop(master.loop, &listener);
    ev_timer_stop(master.loop, &accept_pause);
    ev_timer_set(&accept_pause, ACCEPT_PAUSE_S, 0);
    ev_timer_start(master.loop, &accept_pause);
    if (logged_ms != 0 && now < logged_ms + ACCEPT_LOG_MS)
        return;
    logged_ms = now;
    log_warn("cannot accept a client of the control socket: %s; trying again%s",
        strerror(error),
        error == EMFILE || error == ENFILE
            ? " (raise LimitNOFILE of the unit, or `ulimit -n`)"
            : "");
}

static void
accept_cb(struct ev_loop *loop, ev_io *w, int events)
{
    struct ucred who;
    socklen_t    size = sizeof who;

    (void)loop;
    (void)events;
    int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR &&
            errno != ECONNABORTED)
            pause_accepting(errno);
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
        close(fd);
        return;
    }
    control_accepted(fd, who.uid);
}

/* --- its file ------------------------------------------------------------ */

/* Removes a socket without a listener, which a killed daemon has left; anything
 * else stays. */
static bool
clear_stale(const struct sockaddr_un *un, struct buf *why)
{
    struct stat st;

    if (lstat(un->sun_path, &st) != 0)
        return true;
    if (!S_ISSOCK(st.st_mode)) {
        buf_addf(why,
            "server.control = %s: exists and is not a socket; remove "
            "it or choose another path",
            un->sun_path);
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        buf_addf(why,
            "server.control = %s: cannot ask whether another ocppd "
            "answers there: %s",
            un->sun_path, strerror(errno));
        return false;
    }
    int rc = connect(fd, (const struct sockaddr *)un, sizeof *un);
    int error = errno;
    close(fd);
    if (rc == 0 || error == EAGAIN) {
        buf_addf(why,
            "server.control = %s: another ocppd answers there; stop "
            "it, or give this one its own server.control, "
            "server.state_dir and server.listen",
            un->sun_path);
        return false;
    }
    if (unlink(un->sun_path) == 0)
        return true;
    buf_addf(why,
        "server.control = %s: cannot remove the socket of a former "
        "daemon: %s",
        un->sun_path, strerror(errno));
    return false;
}

static struct group *
find_group(const char *group, struct buf *why)
{
    struct group *g = getgrnam(group);

    if (g == NULL)
        buf_addf(why,
            "server.control_group = %s: there is no such group; "
            "`groupadd --system %s` makes one",
            group, group);
    return g;
}

bool
control_socket_check(const char *group, struct buf *why)
{
    return group[0] == '\0' || find_group(group, why) != NULL;
}

static bool
give_to_group(const char *path, const char *group, struct buf *why)
{
    if (group[0] == '\0')
        return true;
    struct group *g = find_group(group, why);
    if (g == NULL)
        return false;
    if (chown(path, (uid_t)-1, g->gr_gid) == 0)
        return true;
    buf_addf(why,
        "server.control_group = %s: cannot give it %s: %s; the "
        "daemon must be root or a member of the group",
        group, path, strerror(errno));
    return false;
}

int
control_socket_fd(void)
{
    return socket_path[0] != '\0' ? listener.fd : -1;
}

void
control_socket_adopt(const char *path, int fd)
{
    snprintf(socket_path, sizeof socket_path, "%s", path);
    ev_io_init(&listener, accept_cb, fd, EV_READ);
    ev_init(&accept_pause, resume_cb);
    ev_io_start(master.loop, &listener);
}

void
control_socket_accept(bool on)
{
    if (socket_path[0] == '\0')
        return;
    ev_timer_stop(master.loop, &accept_pause);
    if (on)
        ev_io_start(master.loop, &listener);
    else
        ev_io_stop(master.loop, &listener);
}

bool
control_socket_open(const char *path, const char *group, struct buf *why)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    if (path[0] == '\0')
        return true;
    if (strlen(path) >= sizeof un.sun_path) {
        buf_addf(why,
            "server.control = %s: longer than the %zu bytes a "
            "socket's path may have",
            path, sizeof un.sun_path - 1);
        return false;
    }
    memcpy(un.sun_path, path, strlen(path) + 1);
    if (!clear_stale(&un, why))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The umask makes sure that the file never has a wider mode than its final
       one. */
    mode_t old = umask(0117);
    int    rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&un, sizeof un);
    int    error = errno;
    umask(old);
    if (rc == 0 && !give_to_group(path, group, why)) {
        unlink(path);
        close(fd);
        return false;
    }
    if (rc != 0 || listen(fd, 64) != 0) {
        buf_addf(why,
            "server.control = %s: cannot make the socket: %s; its "
            "directory must exist and be writable for the daemon",
            path, strerror(rc != 0 ? error : errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    control_socket_adopt(path, fd);
    return true;
}

void
control_socket_close(void)
{
    if (socket_path[0] == '\0')
        return;
    control_socket_accept(false);
    close(listener.fd);
    unlink(socket_path);
    socket_path[0] = '\0';
}
