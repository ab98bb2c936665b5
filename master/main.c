/*
 * main: the program ocppd: its start and its end.
 *
 * Start, in this order, so that a failure leaves nothing behind: read the
 * configuration; go to the background; open the log; lock the pid file; make
 * the directories; bind; make the shared memory; fork.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/access.h"
#include "access/tokens.h"
#include "admin/admin.h"
#include "base/master.h"
#include "base/up.h"
#include "clock.h"
#include "config.h"
#include "config_put.h"
#include "control/command.h"
#include "control/control.h"
#include "control/control_socket.h"
#include "crypto.h"
#include "daemonize.h"
#include "ensure.h"
#include "helper.h"
#include "locks.h"
#include "log.h"
#include "options.h"
#include "paths.h"
#include "profiles.h"
#include "sandbox.h"
#include "sd_notify.h"
#include "signals.h"
#include "upgrade/next_master.h"
#include "upgrade/received.h"
#include "upgrade/successor.h"
#include "upgrade/upgrade.h"
#include "version.h"
#include "worker/worker.h"
#include "workers/listen.h"
#include "workers/supervise.h"
#include "workers/tls_keeper.h"

struct master master;

/* --- a stop --------------------------------------------------------------- */

void
up_stop(void)
{
    if (master.phase == MASTER_STOPPING)
        return;
    upgrade_abort();
    master.phase = MASTER_STOPPING;
    atomic_store(&master.shm->draining, 1);
    sd_notify_stopping();
    if (!supervise_kill())
        up_end();
}

bool
up_upgrade(const char *program, struct buf *why)
{
    return upgrade_begin(program, why);
}

/* A stop was requested while slots move. The daemon is stopped when the upgrade
 * has ended, which takes at most a few times upgrade.patience: by the new
 * program, or by this one if the upgrade has failed. */
static bool stop_later;

void
up_drain(uint64_t ms)
{
    char text[CLOCK_DURATION_LEN];

    if (!upgrade_cancel("the daemon is being stopped")) {
        log_info("stopping as soon as the upgrade is done");
        stop_later = true;
        return;
    }

    if (master.phase >= MASTER_DRAINING) {
        log_warn("second request to stop: stopping at once");
        up_stop();
        return;
    }
    clock_duration(text, ms);
    log_info("stopping: connections are closed over %s", text);
    master.phase = MASTER_DRAINING;
    atomic_store(&master.shm->draining, 1);
    sd_notify_stopping();
    supervise_drain(ms);
}

void
up_upgrade_failed(void)
{
    if (!stop_later)
        return;
    stop_later = false;
    up_drain(master.config.server_drain_time);
}

static void
helped_cb(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop, (void)w, (void)events;
    helper_finish();
}

static void
watch_helpers(void)
{
    static ev_io watcher;
    int          fd = helper_open();

    ensure(fd >= 0);
    ev_io_init(&watcher, helped_cb, fd, EV_READ);
    ev_io_start(master.loop, &watcher);
}

/* --- start and end ------------------------------------------------------- */

void
up_is_ready(void)
{
    master.phase = MASTER_RUNNING;
    const char *plain = master.config.server_listen;
    const char *tls = master.config.server_listen_tls;
    log_info("ready: %u workers listen on %s%s%s%s", master.slots, plain,
        plain[0] && tls[0] ? ", with TLS on " : "", tls,
        plain[0] ? "" : " with TLS");
    sd_notify_ready();
    daemonize_ready();
}

static void
leave(int code)
{
    admin_stop();
    control_close();
    control_socket_close();
    locks_leave();
    exit(code);
}

void
up_unlock(void)
{
    locks_release();
}

bool
up_lock(struct buf *why)
{
    return locks_take_over(&master.config, why);
}

const char *
up_next_pid(pid_t pid)
{
    return locks_next_pid(pid);
}

void
up_succeeded(void)
{
    pid_t next = next_master_pid();

    if (stop_later && next > 0)
        kill(next, SIGTERM);
    if (next > 0)
        signals_forward(next);
    admin_stop();
    exit(MASTER_EXIT_DONE);
}

void
up_end(void)
{
    log_info("stopped");
    leave(MASTER_EXIT_DONE);
    abort(); /* not reached */
}

/* Reports to the log, and to the process that started the daemon. */
static void cannot_start(int code, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

static void
cannot_start(int code, const char *fmt, ...)
{
    char    text[4096];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (size_t n = strlen(text); n > 0 && text[n - 1] == '\n';)
        text[--n] = '\0';
    if (master.phase == MASTER_INHERITING) {
        log_lines(LOG_LEVEL_ERROR, "cannot take over: ", text);
        successor_refuse(text);
        exit(code);
    }
    log_lines(LOG_LEVEL_ERROR, "cannot start: ", text);
    daemonize_failed(code, text, log_fd() != STDERR_FILENO);
    leave(code);
    abort(); /* not reached */
}

void
up_cannot_start(const char *why)
{
    supervise_kill();
    cannot_start(MASTER_EXIT_FAILED, "%s", why);
}

static unsigned
count_workers(void)
{
    cpu_set_t cpus;

    if (master.config.server_workers != 0)
        return (unsigned)master.config.server_workers;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return 1;
    int n = CPU_COUNT(&cpus);
    return n < 1 ? 1 : n > 200 ? 200 : (unsigned)n;
}

/* server.node, or the host's name. */
static void
find_node(char out[33])
{
    if (strcmp(master.config.server_node, "auto") != 0) {
        snprintf(out, 33, "%.32s", master.config.server_node);
        return;
    }
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    snprintf(out, 33, "%.32s", host[0] ? host : "ocppd");
}

static bool
take_tokens(const struct config *c, struct buf *why)
{
    struct tokens *t = tokens_read(c->server_state_dir, why);

    if (t != NULL)
        tokens_adopt(t);
    return t != NULL;
}

/* Opens files, sockets and the state directory, or takes them over from the old
 * program. */
static bool
take(const struct config *c, int inherit, struct buf *why, struct buf *notes)
{
    if (inherit >= 0)
        return successor_receive(inherit, why) && paths_prepare(c, why) &&
            access_check(c, NULL, why, notes) && take_tokens(c, why) &&
            tls_keeper_check(c, why, notes) && supervise_listen(why) &&
            admin_listen(why);
    return paths_take(c, why) && access_check(c, NULL, why, notes) &&
        take_tokens(c, why) && tls_keeper_check(c, why, notes) &&
        supervise_listen(why) && admin_listen(why) &&
        control_socket_open(c->server_control, c->server_control_group, why);
}

/* inherit: the link to the old program of an upgrade; -1 if there is none. */
static void
start(int inherit)
{
    const struct config *c = &master.config;
    struct buf           why = BUF_INIT(8192), notes = BUF_INIT(8192);
    char                 node[33];

    control_serve(command_run, command_is_served);
    master.slots = count_workers();
    find_node(node);
    log_info("ocppd %s starts as %s, with %s%s", OCPPD_VERSION, node,
        master.conf_file ? master.conf_file : "no configuration file",
        c->log_level == CONF_log_level_debug ? ", log.level debug" : "");
    listen_raise_limit(c, master.slots);
    if (!take(c, inherit, &why, &notes)) {
        struct buf placed = BUF_INIT(65536);
        config_put_places(c, master.conf_file, buf_cstr(&why), &placed);
        cannot_start(MASTER_EXIT_FAILED, "%s", buf_cstr(&placed));
    }
    if (realpath(c->server_state_dir, master.state_dir) == NULL)
        snprintf(master.state_dir, sizeof master.state_dir, "%s",
            c->server_state_dir);
    master.shm = shm_make(c, master.slots, node, &master.memfd);
    if (master.shm == NULL)
        cannot_start(MASTER_EXIT_FAILED,
            "cannot make the shared memory for "
            "server.max_connections = %" PRIu64 ": %s",
            c->server_max_connections, strerror(errno));
    log_level_at(&master.shm->log_level);
    if (inherit >= 0 && !received_take_state(&why))
        cannot_start(MASTER_EXIT_FAILED, "%s", buf_cstr(&why));
    buf_clear(&why);
    /* After an upgrade, the profiles arrive with the registry entries. */
    if (inherit < 0 &&
        !profiles_load(shm_registry(master.shm), c->server_state_dir, &why))
        log_error("%s; tls.refuse_downgrade does not know all identities",
            buf_cstr(&why));
    tls_keeper_adopt();
    log_lines(LOG_LEVEL_WARN, "", buf_cstr(&notes));
    buf_free(&notes);
    buf_free(&why);
    crypto_prepare(c->server_listen_tls[0] != '\0');
    if (!sandbox_master())
        log_warn(
            "cannot give up rights that are not needed: %s; the master keeps "
            "all rights of its user",
            strerror(errno));
    if (sandbox_secrets(c))
        sandbox_hide();
    if (inherit >= 0) {
        successor_start();
        return;
    }
    supervise_begin();
    supervise_start();
    admin_start();
}

static void
open_log(bool background)
{
    static _Atomic int level; /* the log level until shared memory holds it */
    struct buf         why = BUF_INIT(1024);

    log_process("master");
    level = (int)(master.config.log_level - CONF_log_level_error);
    log_level_at(&level);
    master.log_target = master.config.log_target;
    if (background && strcmp(master.log_target, "stderr") == 0)
        master.log_target = "syslog"; /* there is no stderr any more */
    if (!paths_log(master.log_target, true, &why))
        cannot_start(MASTER_EXIT_FAILED, "%s", buf_cstr(&why));
    if (!log_open(master.log_target))
        cannot_start(MASTER_EXIT_FAILED,
            "log.target = %s: cannot open it: %s; the user that starts ocppd "
            "must be able to write it",
            master.log_target, strerror(errno));
    buf_free(&why);
}

int
main(int argc, char **argv)
{
    bool background = options_read(argc, argv);
    int  inherit = received_descriptor();
    if (inherit >= 0)
        master.phase = MASTER_INHERITING;
    else if (background)
        daemonize_enter();
    open_log(background);

    master.loop = ev_default_loop(EVFLAG_NOENV);
    if (master.loop == NULL)
        cannot_start(MASTER_EXIT_FAILED, "cannot make an event loop: %s",
            strerror(errno));
    signals_watch();
    watch_helpers();
    start(inherit);
    ev_run(master.loop, 0);
    return 0;
}
