/* accept: new connections from this worker's listening sockets. See
 * accept.h. */
#include "session/accept.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/guard.h"
#include "address.h"
#include "base/self.h"
#include "ensure.h"
#include "log.h"
#include "session/handshake.h"

/* The most connections that are accepted in one turn, so that open connections
 * are served during a storm of new ones. */
#define BATCH 64

/* Descriptors reserved for the journal's next segments and the connections to
 * Redis, without which no charge point would be answered. */
#define SPARE 12

static struct watcher {
    ev_io              io;
    enum listener_kind kind;
    unsigned           slot; /* worker slot of an adopted socket */
    struct watcher    *next;
} * watchers, *adopted;
static unsigned watchers_n;
static uint64_t room; /* the number of connections for which there are
                         descriptors */
static bool     paused;
static bool     held;    /* by accept_hold() */
static uint32_t held_ms; /* self.now_ms when the hold began */
static bool     delayed; /* by limits.accept_rate, until the next tick */

static void
watch_all(bool watch)
{
    if (watch && held)
        return;
    for (unsigned i = 0; i < watchers_n; i++)
        if (watch)
            ev_io_start(self.loop, &watchers[i].io);
        else
            ev_io_stop(self.loop, &watchers[i].io);
    for (struct watcher *w = adopted; w != NULL; w = w->next)
        if (watch)
            ev_io_start(self.loop, &w->io);
        else
            ev_io_stop(self.loop, &w->io);
}

static void
pause_all(bool pause)
{
    watch_all(!pause);
    paused = pause;
}

static uint64_t
taken(void)
{
    return stat_get(&self.st->connections) + stat_get(&self.st->handshaking) +
        stat_get(&self.st->closing);
}

/* Counts the descriptors that are open before the first connection. */
static uint64_t
count_room(void)
{
    struct rlimit limit;
    int           next = dup(STDIN_FILENO);

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || next < 0)
        return 1;
    close(next);
    uint64_t other = (uint64_t)next + SPARE;
    return limit.rlim_cur > other ? limit.rlim_cur - other : 1;
}

static void
accept_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop, (void)revents;
    /* The reload command is answered when the configuration is in shared
     * memory, so a client may connect before this worker has read the datagram
     * about it. */
    if (self.conf_version != self.shm->config_version)
        self_read_config();
    for (int i = 0; i < BATCH; i++) {
        if (!guard_may_accept()) {
            delayed = true;
            watch_all(false);
            return;
        }
        struct sockaddr_storage ss;
        socklen_t               len = sizeof ss;
        int                     fd = -1;
        if (taken() < room)
            fd = accept4(w->fd, (struct sockaddr *)&ss, &len,
                SOCK_NONBLOCK | SOCK_CLOEXEC);
        else
            errno = EMFILE;
        if (fd < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK)
                return;
            if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
                continue;
            /* The client stays in the queue of the socket, so trying again
             * before the next tick would spin. */
            STAT_INC(self.st, accept_errors);
            log_error("accept: %s; trying again in a second%s", strerror(errno),
                errno == EMFILE || errno == ENFILE
                    ? " (raise LimitNOFILE or ulimit -n above "
                      "server.max_connections / server.workers)"
                    : "");
            pause_all(true);
            return;
        }
        uint64_t addr[2];
        uint16_t port;
        address_pack(&ss, addr, &port);
        STAT_INC(self.st, accepted);
        guard_accepted();
        handshake_begin(fd, ((struct watcher *)w)->kind, addr, port);
    }
}

void
accept_open(const struct listener *listeners, unsigned n)
{
    watchers = calloc(n, sizeof *watchers);
    ensure(watchers != NULL || n == 0);
    watchers_n = n;
    room = count_room();
    for (unsigned i = 0; i < n; i++) {
        int one = 1;
        /* Accepted sockets inherit this option, which saves a system call for
         * each of them. */
        setsockopt(listeners[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watchers[i].kind = listeners[i].kind;
        ev_io_init(&watchers[i].io, accept_cb, listeners[i].fd, EV_READ);
        if (!held)
            ev_io_start(self.loop, &watchers[i].io);
    }
}

void
accept_hold(bool hold)
{
    if (hold && !held)
        held_ms = self.now_ms;
    held = hold;
    watch_all(!hold && !paused && !delayed);
}

uint32_t
accept_held_ms(void)
{
    return held ? self.now_ms - held_ms : 0;
}

void
accept_adopt(int fd, enum listener_kind kind, unsigned slot)
{
    struct watcher *w = watchers_n > 0 ? calloc(1, sizeof *w) : NULL;

    if (w == NULL) { /* this worker is being drained, or there is no memory */
        close(fd);
        return;
    }
    w->kind = kind;
    w->slot = slot;
    w->next = adopted;
    adopted = w;
    ev_io_init(&w->io, accept_cb, fd, EV_READ);
    if (!paused && !delayed && !held)
        ev_io_start(self.loop, &w->io);
}

static void
release(struct watcher **link)
{
    struct watcher *w = *link;

    *link = w->next;
    ev_io_stop(self.loop, &w->io);
    close(w->io.fd);
    free(w);
}

void
accept_release(unsigned slot)
{
    for (struct watcher **link = &adopted; *link != NULL;)
        if ((*link)->slot == slot)
            release(link);
        else
            link = &(*link)->next;
}

void
accept_close(void)
{
    while (adopted != NULL)
        release(&adopted);
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
