/* signals: handles the signals to the master. See signals.h. */
#include "signals.h"

#include <signal.h>

#include <ev.h>

#include "base/master.h"
#include "base/up.h"
#include "log.h"
#include "sd_notify.h"
#include "upgrade/upgrade.h"

static const int signals[] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
#define SIGNALS (sizeof signals / sizeof *signals)
static ev_signal watchers[SIGNALS];

/* A signal is received by received(), and handled by signal_cb() in the next
 * turn of the loop. It is forwarded if this program ends before that turn. */
static volatile sig_atomic_t unhandled[SIGNALS];
static volatile sig_atomic_t successor; /* pid; 0: none */
static bool late[SIGNALS]; /* handled during an upgrade, whose new program may
                              have opened its files before */

/* The result is logged. */
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
        log_error("reload: too many reloads wait already; send SIGHUP again "
                  "later");
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

static size_t
number(int signal)
{
    size_t i = 0;

    while (signals[i] != signal)
        i++;
    return i;
}

static void
received(int signal)
{
    if (successor != 0) {
        kill(successor, signal);
        return;
    }
    unhandled[number(signal)] = 1;
    ev_feed_signal(signal);
}

static void
signal_cb(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop, (void)events;
    unhandled[number(w->signum)] = 0;
    if (upgrade_running() && (w->signum == SIGHUP || w->signum == SIGUSR1))
        late[number(w->signum)] = true;
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

void
signals_watch(void)
{
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < SIGNALS; i++) {
        ev_signal_init(&watchers[i], signal_cb, signals[i]);
        ev_signal_start(master.loop, &watchers[i]);
        struct sigaction a = {.sa_handler = received, .sa_flags = SA_RESTART};
        sigfillset(&a.sa_mask);
        sigaction(signals[i], &a, NULL); /* libev has installed its own */
    }
}

void
signals_forward(pid_t pid)
{
    successor = pid;
    for (size_t i = 0; i < SIGNALS; i++)
        if (unhandled[i] || late[i])
            kill(pid, signals[i]);
}

void
up_forget_signals(void)
{
    for (size_t i = 0; i < SIGNALS; i++)
        ev_signal_stop(master.loop, &watchers[i]);
}
