/* reopen: opens the log file again, by its name, after it was renamed. */
#include "base/up.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "config.h"
#include "helper.h"
#include "log.h"
#include "workers/hints.h"

/* A job of the helper: opens the log file, which may take any time. */
struct reopening {
    struct helper_job h;
    char              path[CONF_TEXT_MAX];
    int               fd, error;
};

static struct helper log_helper =
    HELPER_INIT("ocppd-log-open", "the disk of log.target", 1, 2000);
static bool reopen_again; /* requested again while it is in progress */

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
        hints_notify_all(CHANNEL_reopen);
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
