/* accept: new connections from this worker's listening sockets. See
 * accept.h. */
#include "accept.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conn.h"
#include "ensure.h"
#include "guard.h"
#include "handshake.h"
#include "log.h"
#include "self.h"

/* At most this many at a time, so that open connections get their turn in a
 * storm of new ones. */
#define BATCH 64

static ev_io   *watchers;
static unsigned watchers_n;
static bool     paused;
static bool     delayed; /* by limits.accept_rate, until the next tick */

static void
watch_all(bool watch)
{
    for (unsigned i = 0; i < watchers_n; i++)
        if (watch)
            ev_io_start(self.loop, &watchers[i]);
        else
            ev_io_stop(self.loop, &watchers[i]);
}

static void
pause_all(bool pause)
{
    watch_all(!pause);
    paused = pause;
}

static void
accept_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    for (int i = 0; i < BATCH; i++) {
        if (!guard_may_accept()) {
            delayed = true;
            watch_all(false);
            return;
        }
        struct sockaddr_storage ss;
        socklen_t               len = sizeof ss;
        int fd = accept4(w->fd, (struct sockaddr *)&ss, &len,
            SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK)
                return;
            if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
                continue;
            /* Trying again at once would spin: the client stays in the queue
             * until the next tick. */
            STAT_INC(self.st, accept_errors);
            log_error("accept: %s; trying again in a second%s", strerror(errno),
                errno == EMFILE || errno == ENFILE
                    ? " (raise LimitNOFILE or ulimit -n above "
                      "max_connections / workers)"
                    : "");
            pause_all(true);
            return;
        }
        uint64_t addr[2];
        uint16_t port;
        shm_addr_pack(&ss, addr, &port);
        STAT_INC(self.st, accepted);
        guard_accepted();
        handshake_begin(fd, addr, port);
    }
}

void
accept_open(const int *fds, unsigned n)
{
    watchers = calloc(n, sizeof *watchers);
    ensure(watchers != NULL || n == 0);
    watchers_n = n;
    for (unsigned i = 0; i < n; i++) {
        int one = 1;
        /* Inherited by what is accepted; saves a system call each. */
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        ev_io_init(&watchers[i], accept_cb, fds[i], EV_READ);
        ev_io_start(self.loop, &watchers[i]);
    }
}

void
accept_close(void)
{
    pause_all(true);
    watchers_n = 0;
}

void
accept_tick(void)
{
    if (paused)
        pause_all(false);
}

void
accept_resume(void)
{
    if (!delayed)
        return;
    delayed = false;
    if (!paused)
        watch_all(true);
}
