/*
 * admin: the small process that serves /health and /metrics. See admin.h.
 *
 * Upper half: the master's view, a child that is started again with
 * back-off. Lower half: the child, which waits on its channel for the
 * master's word or end while libmicrohttpd serves from a thread.
 */
#include "admin/admin.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "workers/child.h"
#include "clock.h"
#include "ensure.h"
#include "workers/listen.h"
#include "log.h"
#include "base/master.h"
#include "admin/report.h"
#include "sandbox.h"
#include "user.h"

#define HTTP_CONNECTIONS 64
#define HTTP_TIMEOUT_S 15
#define HTTP_MEMORY (16u * 1024) /* per connection, bounds the request */
#define BODY_MAX (16u << 20)
#define BACKLOG 64

static struct listen_set listeners;
static int               channel = -1;
static pid_t             pid;
static uint64_t          started_ms, backoff_ms;
static ev_child          child;
static ev_timer          respawn;

static void serve(int end) __attribute__((noreturn));

/* --- in the master ------------------------------------------------------- */

bool
admin_listen(struct buf *why)
{
    const char *list = master.config.admin_listen;

    return listen_probe("admin.listen", list, why) &&
        listen_open(
            &listeners, LISTENER_PLAIN, "admin.listen", list, BACKLOG, why);
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
    close(channel);
    channel = -1;
    pid = 0;
    if (master.phase >= MASTER_DRAINING)
        return;
    child_end_text(end, w->rstatus);
    log_error("admin: the process %s; starting it again", end);
    start_later(clock_mono_ms() - started_ms);
}

static void
start(void)
{
    int ends[2];
    int keep[LISTEN_ADDRESSES + 3];

    if (!channel_pair(ends)) {
        log_error("admin: cannot make its channel: %s", strerror(errno));
        start_later(0);
        return;
    }
    size_t n = 0;
    keep[n++] = ends[1];
    keep[n++] = master.memfd;
    keep[n++] = master.lockfd;
    for (unsigned i = 0; i < listeners.n; i++)
        keep[n++] = listeners.at[i].fd;
    pid = child_fork(keep, n);
    if (pid == 0)
        serve(ends[1]);
    close(ends[1]);
    if (pid < 0) {
        log_error("admin: cannot fork: %s", strerror(errno));
        close(ends[0]);
        pid = 0;
        start_later(0);
        return;
    }
    channel = ends[0];
    started_ms = clock_mono_ms();
    ev_child_init(&child, died_cb, pid, 0);
    ev_child_start(master.loop, &child);
}

void
admin_start(void)
{
    if (listeners.n == 0)
        return;
    ev_init(&respawn, respawn_cb);
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
admin_tell(enum channel_type type)
{
    struct channel_msg m = {.type = type};

    if (channel >= 0)
        channel_send(channel, &m, NULL, 0);
}

/* --- in the child -------------------------------------------------------- */

static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned status, const char *type,
    struct buf *body)
{
    /* libmicrohttpd frees the memory, which malloc made. */
    struct MHD_Response *r = MHD_create_response_from_buffer(
        body->len, body->p, MHD_RESPMEM_MUST_FREE);

    if (r == NULL) {
        buf_free(body);
        return MHD_NO;
    }
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, r);
    MHD_destroy_response(r);
    return result;
}

static unsigned
page(const struct shm *s, const char *url, struct buf *out, const char **type)
{
    *type = "text/plain; charset=utf-8";
    if (strcmp(url, "/health") == 0) {
        *type = "application/json";
        return report_health(s, out) == REPORT_UNHEALTHY
            ? MHD_HTTP_SERVICE_UNAVAILABLE
            : MHD_HTTP_OK;
    }
    if (strcmp(url, "/metrics") == 0) {
        *type = "text/plain; version=0.0.4; charset=utf-8";
        metrics_prometheus(s, out);
        return MHD_HTTP_OK;
    }
    if (strcmp(url, "/ready") == 0) {
        bool ready = report_ready(s);
        buf_adds(out, ready ? "ready\n" : "not ready\n");
        return ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    }
    if (strcmp(url, "/live") == 0) {
        buf_adds(out, "live\n");
        return MHD_HTTP_OK;
    }
    buf_adds(out, "There are /health, /metrics, /ready and /live.\n");
    return MHD_HTTP_NOT_FOUND;
}

static enum MHD_Result
request_cb(void *arg, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *data,
    size_t *data_size, void **state)
{
    static int        seen;
    const struct shm *s = arg;
    struct buf        out = BUF_INIT(BODY_MAX);
    const char       *type = "text/plain; charset=utf-8";
    unsigned          status = MHD_HTTP_METHOD_NOT_ALLOWED;

    (void)version, (void)data;
    /* The first call comes with the headers, the last without data. */
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    if (*data_size > 0) {
        *data_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
        strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
        status = page(s, url, &out, &type);
    else
        buf_adds(&out, "Only GET and HEAD.\n");
    if (out.overflow || out.p == NULL) {
        buf_free(&out);
        return MHD_NO;
    }
    return answer(connection, status, type, &out);
}

static void
listen_http(const struct shm *s, int fd)
{
    struct MHD_Daemon *d =
        MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0,
            NULL, NULL, request_cb, (void *)s, MHD_OPTION_LISTEN_SOCKET, fd,
            MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS,
            MHD_OPTION_CONNECTION_TIMEOUT, HTTP_TIMEOUT_S,
            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY,
            MHD_OPTION_END);

    if (d == NULL) {
        log_error("cannot serve HTTP: %s", strerror(errno));
        _exit(1);
    }
}

static void
serve(int end)
{
    static char        body[CHANNEL_BODY_MAX + 1];
    struct channel_msg m;
    char               why[256];
    struct pollfd      p = {.fd = end, .events = POLLIN};

    log_who("admin");
    signal(SIGPIPE, SIG_IGN);
    uint64_t          size = shm_size(master.shm);
    const struct shm *s = shm_map_readonly(master.memfd);
    if (s == NULL) {
        log_error("cannot map the shared memory: %s", strerror(errno));
        _exit(1);
    }
    /* The level is read through a pointer into what now goes away. */
    log_level_at(&s->log_level);
    munmap(master.shm, size);
    master.shm = NULL;
    if (!user_become(master.config.server_user, why, sizeof why)) {
        log_error("%s", why);
        _exit(1);
    }
    struct buf no = BUF_INIT(1024);
    if (!sandbox_enter(&master.config, &no)) {
        log_error("%s", buf_cstr(&no));
        _exit(1);
    }
    for (unsigned i = 0; i < listeners.n; i++)
        listen_http(s, listeners.at[i].fd);
    for (;;) {
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            _exit(1);
        int r = channel_recv(end, &m, body);
        if (r < 0)
            _exit(0); /* the master is gone */
        if (r > 0 && m.type == CHANNEL_reopen && !log_reopen())
            log_error("cannot open the log anew: %s", strerror(errno));
    }
}
