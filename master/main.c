/*
 * main: the program ocppd: its arguments, its start, its signals, its end.
 *
 * Start, in this order, so that a failure leaves nothing behind: read the
 * configuration; go to the background; open the log; lock the pid file; make
 * the directories; bind; make the shared memory; fork.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/tokens.h"
#include "admin/admin.h"
#include "admin/http.h"
#include "daemonize.h"
#include "clock.h"
#include "control/command.h"
#include "config.h"
#include "config_put.h"
#include "config_read.h"
#include "control/control.h"
#include "control/control_socket.h"
#include "ensure.h"
#include "helper.h"
#include "event.h"
#include "workers/listen.h"
#include "log.h"
#include "base/master.h"
#include "base/up.h"
#include "sd_notify.h"
#include "paths.h"
#include "admin/metrics.h"
#include "sandbox.h"
#include "access/access.h"
#include "workers/supervise.h"
#include "profiles.h"
#include "workers/tls_keeper.h"
#include "upgrade/successor.h"
#include "upgrade/upgrade.h"
#include "worker/worker.h"
#include "version.h"

#define OVERRIDES_MAX 256
#define ERRORS_MAX (256 * 1024)

struct master master;

static const int signals[] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
#define SIGNALS (sizeof signals / sizeof *signals)
static ev_signal signal_watchers[SIGNALS];

/* --- what signals and commands ask for ----------------------------------- */

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

/* While slots move, the daemon is half here and half there: it is stopped when
 * that has ended, within some times upgrade.patience. */
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

/* The log's disk may take any time to open a file. */
struct reopening {
    struct helper_job h;
    char              path[CONF_TEXT_MAX];
    int               fd, error;
};

static struct helper log_helper =
    HELPER_INIT("ocppd-log-open", "the disk of log.target", 1, 2000);
static bool reopen_again; /* asked for while it is under way */

static void
reopen_work(struct helper_job *h)
{
    struct reopening *r = (struct reopening *)h;

    r->fd = log_open_file(r->path);
    r->error = errno;
}

static void
reopened(struct helper_job *h)
{
    struct reopening *r = (struct reopening *)h;

    if (r->fd < 0) {
        log_error("log.target = %s: cannot open it again: %s; lines go to the "
                  "file that was open before",
            r->path, strerror(r->error));
    } else {
        log_take(r->fd);
        supervise_notify_all(CHANNEL_reopen);
        admin_notify(CHANNEL_reopen);
    }
    free(r);
    if (reopen_again) {
        reopen_again = false;
        up_reopen_logs();
    }
}

void
up_reopen_logs(void)
{
    if (log_path()[0] == '\0')
        return;
    struct reopening *r = calloc(1, sizeof *r);
    if (r == NULL)
        return;
    r->h.work = reopen_work;
    r->h.done = reopened;
    snprintf(r->path, sizeof r->path, "%s", log_path());
    if (!helper_submit(&log_helper, &r->h)) {
        reopen_again = true;
        free(r);
    }
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

/* What happened is in the log. */
static void
reloaded(uint64_t client, bool ok, struct buf *lines)
{
    (void)client, (void)ok, (void)lines;
    sd_notify_ready();
}

static void
reload_by_signal(void)
{
    if (master.phase >= MASTER_DRAINING) {
        log_warn("request to reload while stopping: ignored");
        return;
    }
    sd_notify_reloading();
    up_reopen_logs();
    if (!up_reload(0, reloaded)) {
        log_error("reload: too many wait already");
        sd_notify_ready();
    }
}

static void
upgrade_by_signal(void)
{
    struct buf why = BUF_INIT(1024);

    if (!up_upgrade(NULL, &why))
        log_error("upgrade: %s", buf_cstr(&why));
    buf_free(&why);
}

static void
signal_cb(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop, (void)events;
    switch (w->signum) {
    case SIGTERM:
    case SIGINT:
        up_drain(master.config.server_drain_time);
        break;
    case SIGQUIT:
        log_info("stopping at once");
        up_stop();
        break;
    case SIGHUP:
        reload_by_signal();
        break;
    case SIGUSR1:
        up_reopen_logs();
        break;
    case SIGUSR2:
        upgrade_by_signal();
        break;
    }
}

static void
watch_signals(void)
{
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < SIGNALS; i++) {
        ev_signal_init(&signal_watchers[i], signal_cb, signals[i]);
        ev_signal_start(master.loop, &signal_watchers[i]);
    }
}

void
up_forget_signals(void)
{
    for (size_t i = 0; i < SIGNALS; i++)
        ev_signal_stop(master.loop, &signal_watchers[i]);
}

/* --- start and end ------------------------------------------------------- */

void
up_is_ready(void)
{
    master.phase = MASTER_RUNNING;
    log_info("ready: %u workers listen on %s%s%s", master.slots,
        master.config.server_listen,
        master.config.server_listen_tls[0] ? ", with TLS on " : "",
        master.config.server_listen_tls);
    sd_notify_ready();
    daemonize_ready();
}

static void
leave(int code)
{
    admin_stop();
    control_close();
    paths_leave();
    exit(code);
}

void
up_unlock(void)
{
    paths_unlock();
}

bool
up_lock(struct buf *why)
{
    return paths_lock(&master.config, why);
}

void
up_succeeded(void)
{
    pid_t next = upgrade_successor();

    if (stop_later && next > 0)
        kill(next, SIGTERM);
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

/* To the log, and to the process that started the daemon. */
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
    if (master.phase == MASTER_INHERITING) {
        log_error("cannot take over: %s", text);
        successor_refuse(text);
        exit(code);
    }
    if (log_fd() == STDERR_FILENO) {
        log_error("cannot start: %s", text);
        daemonize_failed(code, text, false);
    } else {
        log_error("cannot start: %s", text);
        daemonize_failed(code, text, true);
    }
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

/* Files, sockets and the state directory: taken, or taken over. */
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

/* inherit: the link to the old program of an upgrade, -1 without one. */
static void
start(int inherit)
{
    const struct config *c = &master.config;
    struct buf           why = BUF_INIT(8192), notes = BUF_INIT(8192);
    char                 node[33];

    master.slots = count_workers();
    find_node(node);
    log_info("ocppd %s starts as %s, with %s%s", OCPPD_VERSION, node,
        master.conf_file ? master.conf_file : "no configuration file",
        c->log_level == CONF_log_level_debug ? ", log.level debug" : "");
    listen_raise_limit(c, master.slots);
    if (!take(c, inherit, &why, &notes))
        cannot_start(MASTER_EXIT_FAILED, "%s", buf_cstr(&why));
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
    if (inherit >= 0 && !successor_take_state(&why))
        cannot_start(MASTER_EXIT_FAILED, "%s", buf_cstr(&why));
    buf_clear(&why);
    /* A successor gets them with the entries. */
    if (inherit < 0 &&
        !profiles_load(shm_registry(master.shm), c->server_state_dir, &why))
        log_error("%s; tls.refuse_downgrade does not know all identities",
            buf_cstr(&why));
    tls_keeper_adopt();
    log_lines(LOG_LEVEL_WARN, "", buf_cstr(&notes));
    buf_free(&notes);
    buf_free(&why);
    if (!sandbox_master())
        log_warn(
            "cannot give up rights that are not needed: %s", strerror(errno));
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
    static _Atomic int level; /* until the shared memory has it */
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

/* --- arguments ----------------------------------------------------------- */

static const char usage_text[] =
    "usage: ocppd [-dhtV] [-c file] [-o section.key=value]... "
    "[-x conf|stats|commands|events|http|redis|schema|upgrade]\n";

static const char help_text[] =
    "  -c file  the configuration; default: " CONFIG_FILE " if it exists\n"
    "  -d       run in the background\n"
    "  -o ...   a setting that overrides the configuration\n"
    "  -t       check the configuration and exit\n"
    "  -x name  print a table of the manual, the functions for Redis, or the\n"
    "           JSON Schema of events, or the format of an upgrade\n"
    "  -V       print the version\n"
    "ocppd(8) describes the program, ocppd.conf(5) the settings.\n";

static void
usage(void)
{
    fputs(usage_text, stderr);
    exit(MASTER_EXIT_USAGE);
}

static void
help(void)
{
    fputs(usage_text, stdout);
    fputs(help_text, stdout);
    exit(fflush(stdout) == 0 ? 0 : 1);
}

static void read_config(void);

static void
print_table(const char *which)
{
    struct buf out = BUF_INIT(1 << 20);

    if (strcmp(which, "conf") == 0)
        config_put_manual(&out);
    else if (strcmp(which, "stats") == 0)
        metrics_put_manual(&out);
    else if (strcmp(which, "commands") == 0)
        command_put_manual(&out);
    else if (strcmp(which, "events") == 0)
        event_put_manual(&out);
    else if (strcmp(which, "schema") == 0)
        event_put_schema(&out);
    else if (strcmp(which, "http") == 0)
        http_put_manual(&out);
    else if (strcmp(which, "upgrade") == 0)
        buf_addf(
            &out, "format %d\nversion %s\n", UPGRADE_FORMAT, OCPPD_VERSION);
    else if (strcmp(which, "redis") == 0) {
        read_config(); /* of the options in front of this one */
        worker_put_library(&master.config, &out);
    } else
        usage();
    fwrite(out.p, 1, out.len, stdout);
    exit(fflush(stdout) == 0 ? 0 : 1);
}

static void
read_config(void)
{
    struct buf errors = BUF_INIT(ERRORS_MAX);

    if (!config_read(&master.config, master.conf_file, master.overrides,
            master.n_overrides, &errors)) {
        fwrite(errors.p, 1, errors.len, stderr);
        exit(MASTER_EXIT_CONFIG);
    }
    buf_free(&errors);
}

static void
test_config(void)
{
    const struct config *c = &master.config;
    struct buf           why = BUF_INIT(8192), notes = BUF_INIT(8192);

    if (!paths_log(master.config.log_target, false, &why) ||
        !paths_test(&master.config, &why) ||
        !control_socket_check(c->server_control_group, &why) ||
        !listen_check("server.listen", c->server_listen, &why) ||
        !listen_check("server.listen_tls", c->server_listen_tls, &why) ||
        !listen_check("admin.listen", c->admin_listen, &why) ||
        !listen_check("admin.listen_tls", c->admin_listen_tls, &why) ||
        !access_check(c, NULL, &why, &notes) || !take_tokens(c, &why) ||
        !tls_keeper_check(&master.config, &why, &notes)) {
        fprintf(stderr, "ocppd: %s\n", buf_cstr(&why));
        exit(MASTER_EXIT_CONFIG);
    }
    fputs(buf_cstr(&notes), stderr);
    printf("%s: the configuration is right\n",
        master.conf_file ? master.conf_file : "built-in defaults");
    exit(0);
}

int
main(int argc, char **argv)
{
    static const struct option    longs[] = {{"help", no_argument, NULL, 'h'},
           {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
    static struct config_override overrides[OVERRIDES_MAX];
    bool                          background = false, test = false;
    int                           option;

    master.overrides = overrides;
    master.argc = argc;
    master.argv = argv;
    ssize_t n =
        readlink("/proc/self/exe", master.program, sizeof master.program - 1);
    master.program[n > 0 ? n : 0] = '\0';
    while ((option = getopt_long(argc, argv, "c:o:dhtx:V", longs, NULL)) != -1)
        switch (option) {
        case 'c':
            master.conf_file = optarg;
            break;
        case 'o':
            if (master.n_overrides == OVERRIDES_MAX) {
                fprintf(
                    stderr, "ocppd: more than %d times -o\n", OVERRIDES_MAX);
                exit(MASTER_EXIT_USAGE);
            }
            overrides[master.n_overrides++].text = optarg;
            break;
        case 'd':
            background = true;
            break;
        case 't':
            test = true;
            break;
        case 'h':
            help();
            break;
        case 'x':
            print_table(optarg);
            break;
        case 'V':
            printf("ocppd %s\n", OCPPD_VERSION);
            exit(0);
        default:
            usage();
        }
    if (optind < argc)
        usage();
    if (master.conf_file == NULL && access(CONFIG_FILE, F_OK) == 0)
        master.conf_file = CONFIG_FILE;
    read_config();
    if (test)
        test_config();
    int inherit = successor_descriptor();
    if (inherit >= 0)
        master.phase = MASTER_INHERITING;
    else if (background)
        daemonize_enter();
    open_log(background);

    master.loop = ev_default_loop(EVFLAG_NOENV);
    if (master.loop == NULL)
        cannot_start(MASTER_EXIT_FAILED, "cannot make an event loop: %s",
            strerror(errno));
    watch_signals();
    watch_helpers();
    start(inherit);
    ev_run(master.loop, 0);
    return 0;
}
