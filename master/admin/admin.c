/*
 * admin: the process that serves HTTP. See admin.h, http.h.
 *
 * The upper half runs in the master: it starts the admin process, and starts it
 * again after growing delays when it dies. The lower half runs in the admin
 * process: it waits on the channel for datagrams and for the end of the master,
 * while http.c serves HTTP in threads.
 */
#include "admin/admin.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/http.h"
#include "admin/http_refused.h"
#include "admin/http_tls.h"
#include "base/master.h"
#include "base/up.h"
#include "clock.h"
#include "ensure.h"
#include "heap.h"
#include "log.h"
#include "log_writer.h"
#include "sandbox.h"
#include "user.h"
#include "workers/child.h"
#include "workers/listen.h"
#include "workers/tls_keeper.h"

#define PER_TURN 16 /* datagrams that are read in one turn of the loop */
#define BACKLOG 64

static struct listen_set listeners;
static int               channel = -1;
static pid_t             pid;
static uint64_t          started_ms, backoff_ms;
static ev_child          child;
static ev_io             io;
static ev_timer          respawn;

static void serve(int end) __attribute__((noreturn));

/* --- in the master ------------------------------------------------------- */

bool
admin_listen(struct buf *why)
{
    const char *list = master.config.admin_listen;
    const char *tls = master.config.admin_listen_tls;

    bool inherits = master.phase == MASTER_INHERITING;
    int  backlog = inherits ? 0 : BACKLOG;

    return (inherits ||
               (listen_probe("admin.listen", list, why) &&
                   listen_probe("admin.listen_tls", tls, why))) &&
        listen_open(&listeners, LISTENER_PLAIN, LISTEN_ADMIN, "admin.listen",
            list, backlog, why) &&
        listen_open(&listeners, LISTENER_TLS, LISTEN_ADMIN, "admin.listen_tls",
            tls, backlog, why);
}

const struct listen_set *
admin_listeners(void)
{
    return &listeners;
}

static void start(void);

static void
respawn_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)w, (void)events;
    start();
}

static void
start_later(uint64_t lived)
{
    ev_timer_stop(master.loop, &respawn);
    ev_timer_set(&respawn, (double)child_backoff(&backoff_ms, lived) / 1000, 0);
    ev_timer_start(master.loop, &respawn);
}

static void
died_cb(struct ev_loop *loop, ev_child *w, int events)
{
    char end[CHILD_END_LEN];

    (void)events;
    ev_child_stop(loop, w);
    ev_io_stop(loop, &io);
    close(channel);
    channel = -1;
    pid = 0;
    if (master.phase >= MASTER_DRAINING)
        return;
    child_end_text(end, w->rstatus);
    log_error("admin: the process %s; starting it again", end);
    start_later(clock_mono_ms() - started_ms);
}

/* Handles the two datagrams that the admin process may send: a client of the
 * HTTP API, as one end of a socket pair, and the count of a refused request.
 * Any other datagram is ignored. */
static void
channel_cb(struct ev_loop *loop, ev_io *w, int events)
{
    (void)events;
    static char        body[CHANNEL_BODY_MAX + 1];
    struct channel_msg m;
    int                fd;

    for (int i = 0; i < PER_TURN; i++) {
        int r = channel_recv_fd(channel, &m, body, &fd);
        if (r < 0)
            ev_io_stop(loop, w); /* the end of the process is reported
                                  * separately */
        if (r <= 0)
            return;
        if (fd >= 0 && m.type == CHANNEL_client)
            up_client(fd);
        else if (fd < 0 && m.type == CHANNEL_http_refused)
            http_refused_take(&m, body);
        else if (fd >= 0)
            close(fd);
    }
}

static void
start(void)
{
    int ends[2];
    int keep[LISTEN_ADDRESSES + 4];

    if (!channel_pair(ends)) {
        log_error("admin.listen is not served: cannot make the channel to its "
                  "process: %s; trying again",
            strerror(errno));
        start_later(0);
        return;
    }
    size_t n = 0;
    keep[n++] = ends[1];
    keep[n++] = master.memfd;
    keep[n++] = master.lockfd;
    if (tls_keeper_bundle() >= 0)
        keep[n++] = tls_keeper_bundle();
    for (unsigned i = 0; i < listeners.n; i++)
        keep[n++] = listeners.at[i].fd;
    pid = child_fork(keep, n);
    if (pid == 0)
        serve(ends[1]);
    close(ends[1]);
    if (pid < 0) {
        log_error(
            "admin.listen is not served: cannot start its process: %s; "
            "trying again (raise TasksMax= of the unit or `ulimit -u`, or "
            "give it memory)",
            strerror(errno));
        close(ends[0]);
        pid = 0;
        start_later(0);
        return;
    }
    channel = ends[0];
    started_ms = clock_mono_ms();
    ev_child_init(&child, died_cb, pid, 0);
    ev_child_start(master.loop, &child);
    ev_io_init(&io, channel_cb, channel, EV_READ);
    ev_io_start(master.loop, &io);
}

void
admin_start(void)
{
    if (listeners.n == 0)
        return;
    ev_init(&respawn, respawn_cb);
    /* A socket that was bound during an upgrade does not listen yet. */
    if (!listen_begin(&listeners, BACKLOG))
        log_error("admin.listen: cannot listen: %s", strerror(errno));
    start();
}

void
admin_stop(void)
{
    if (listeners.n == 0)
        return;
    ev_timer_stop(master.loop, &respawn);
    if (pid > 0)
        kill(pid, SIGTERM);
}

void
admin_notify(enum channel_type type)
{
    struct channel_msg m = {.type = type};

    if (channel < 0)
        return;
    if (type == CHANNEL_reopen)
        channel_send_fd(channel, &m, log_fd());
    else if (type == CHANNEL_tls && tls_keeper_bundle() >= 0)
        channel_send_fd(channel, &m, tls_keeper_bundle());
    else if (type != CHANNEL_tls)
        channel_send(channel, &m, NULL, 0);
}

/* Ends the process after the log is written. */
static void fail(void) __attribute__((noreturn));

static void
fail(void)
{
    log_writer_flush(1000);
    _exit(1);
}

/* --- in the child -------------------------------------------------------- */

static void
serve(int end)
{
    static char        body[CHANNEL_BODY_MAX + 1];
    struct channel_msg m;
    char               why[256];
    struct pollfd      p = {.fd = end, .events = POLLIN};

    log_process("admin");
    signal(SIGPIPE, SIG_IGN);
    heap_open(); /* the tables of a score have 33 MB */
    uint64_t          size = shm_size(master.shm);
    const struct shm *s = shm_map_readonly(master.memfd);
    if (s == NULL) {
        log_error("admin.listen is not served: cannot map the shared memory: "
                  "%s",
            strerror(errno));
        fail();
    }
    /* The log reads its level through a pointer into the mapping that is
     * removed here, so the pointer must move first. */
    log_level_at(&s->log_level);
    munmap(master.shm, size);
    master.shm = NULL;
    if (!user_become(master.config.server_user, why, sizeof why)) {
        log_error("%s", why);
        fail();
    }
    struct buf no = BUF_INIT(1024);
    if (!sandbox_enter(&master.config, &no)) {
        log_error("%s", buf_cstr(&no));
        fail();
    }
    http_begin(s, end);
    if (tls_keeper_bundle() >= 0)
        http_tls_load(tls_keeper_bundle());
    for (unsigned i = 0; i < listeners.n; i++)
        if (!http_serve(listeners.at[i].fd, listeners.at[i].kind)) {
            log_error("admin.listen is not served: libmicrohttpd cannot start: "
                      "%s",
                strerror(errno));
            fail();
        }
    for (;;) {
        if (poll(&p, 1, 1000) < 0 && errno != EINTR)
            fail();
        http_refused_flush(end);
        int passed, r = channel_recv_fd(end, &m, body, &passed);
        if (r < 0)
            _exit(0); /* the master has ended */
        if (r > 0 && m.type == CHANNEL_reopen && passed >= 0) {
            log_take(passed);
        } else if (r > 0 && m.type == CHANNEL_tls && passed >= 0) {
            http_tls_load(passed);
            close(passed);
        } else if (r > 0 && passed >= 0) {
            close(passed);
        }
    }
}
