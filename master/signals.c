/* signals: handles the signals to the master. See signals.h. */
#include "signals.h"

#include <signal.h>

#include <ev.h>

#include "base/master.h"
#include "base/up.h"
#include "log.h"
#include "sd_notify.h"

static const int signals[] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
#define SIGNALS (sizeof signals / sizeof *signals)
static ev_signal watchers[SIGNALS];

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

void
signals_watch(void)
{
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < SIGNALS; i++) {
        ev_signal_init(&watchers[i], signal_cb, signals[i]);
        ev_signal_start(master.loop, &watchers[i]);
    }
}

void
up_forget_signals(void)
{
    for (size_t i = 0; i < SIGNALS; i++)
        ev_signal_stop(master.loop, &watchers[i]);
}
