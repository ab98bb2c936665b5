/* check: tests whether an upgrade can begin. See check.h. */
#include "upgrade/check.h"
#include "number.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/master.h"
#include "upgrade/format.h"
#include "upgrade/program.h"
#include "workers/rebalance.h"
#include "workers/slot.h"

#define WHY_MAX 1024

static struct {
    char   **argv;
    unsigned ms;
    void (*done)(const char *why);
} check;

bool
check_daemon(struct buf *why)
{
    if (master.phase != MASTER_RUNNING) {
        buf_adds(why, "the daemon is starting or stopping");
        return false;
    }
    if (getpid() == 1) {
        buf_adds(why,
            "ocppd is process 1, so its container would end with it; start "
            "it below an init, such as `docker run --init`");
        return false;
    }
    for (unsigned i = 0; i < master.slots; i++)
        if (!slot_is_settled(i)) {
            buf_addf(why, "worker %u is being restarted; try again", i);
            return false;
        }
    if (!rebalance_is_idle(why))
        return false;
    for (unsigned i = 0; i < master.slots; i++)
        if (stat_get(&shm_worker(master.shm, i)->stats.journal_failing) != 0) {
            buf_addf(why,
                "the journal of worker %u accepts no events, and those that "
                "wait cannot be handed over; `status` shows the reason; remove "
                "it first",
                i);
            return false;
        }
    return true;
}

static void refuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
refuse(const char *fmt, ...)
{
    char    why[WHY_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    check.done(why);
}

static void
config_checked(int code, struct buf *text)
{
    if (code != 0)
        refuse("it refuses the configuration: %s", buf_cstr(text));
    else
        check.done(NULL);
}

static void
check_config(void)
{
    static char test[] = "-t";
    int         n = 0;

    while (check.argv[n] != NULL)
        n++;
    check.argv[n] = test;
    check.argv[n + 1] = NULL;
    program_run(check.argv, check.ms, config_checked);
    check.argv[n] = NULL; /* the forked process has its own copy of this
                           * argument */
}

static void
format_checked(int code, struct buf *text)
{
    const char *why = buf_cstr(text);
    const char *format = strstr(why, "format ");
    uint64_t    number = 0;

    if (format != NULL) {
        format += strlen("format ");
        number_u64(format, number_digits(format), INT32_MAX, &number);
    }

    if (code < 0)
        refuse("%s", why);
    else if (code == PROGRAM_NOT_EXECUTED)
        refuse("%s", why[0] ? why : "it cannot be executed");
    else if (code != 0 || format == NULL)
        refuse("it cannot take over from another program: `%s -x upgrade` "
               "exited with code %d%s%s",
            check.argv[0], code, why[0] ? ": " : "", why);
    else if (number < UPGRADE_FORMAT)
        refuse("it reads format %d, and this program writes format %d",
            (int)number, UPGRADE_FORMAT);
    else
        check_config();
}

void
check_program(char *argv[], unsigned ms, void (*done)(const char *why))
{
    static char  option[] = "-x", table[] = "upgrade";
    static char *format[] = {NULL, option, table, NULL};

    check.argv = argv;
    check.ms = ms;
    check.done = done;
    format[0] = argv[0];
    program_run(format, ms, format_checked);
}
