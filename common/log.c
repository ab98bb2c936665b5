/* log: lines for the operator. See log.h. */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "clock.h"

#define LINE_MAX_BYTES 2048 /* longer lines are cut; one write() each */

static const char *const names[] = {"error", "warn", "info", "debug"};
static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

static char               speaker[32] = "ocppd";
static char               path[256]; /* "" unless the target is a file */
static bool               to_syslog;
static int                fd = STDERR_FILENO;
static const _Atomic int *level_ptr;

void
log_who(const char *who)
{
    snprintf(speaker, sizeof speaker, "%s", who);
}

bool
log_open(const char *target)
{
    int next = STDERR_FILENO;

    if (strcmp(target, "syslog") == 0) {
        openlog("ocppd", LOG_PID, LOG_DAEMON);
        to_syslog = true;
        path[0] = '\0';
        return true;
    }
    if (strcmp(target, "stderr") != 0) {
        if (strlen(target) >= sizeof path) {
            errno = ENAMETOOLONG;
            return false;
        }
        next = open(target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (next < 0)
            return false;
        if (target != path)
            snprintf(path, sizeof path, "%s", target);
    } else {
        path[0] = '\0';
    }
    if (fd != STDERR_FILENO)
        close(fd);
    fd = next;
    to_syslog = false;
    return true;
}

bool
log_reopen(void)
{
    return path[0] == '\0' || log_open(path);
}

int
log_fd(void)
{
    return to_syslog ? -1 : fd;
}

void
log_level_at(const _Atomic int *level)
{
    level_ptr = level;
}

bool
log_wants(enum log_level level)
{
    return (int)level <= (level_ptr ? *level_ptr : LOG_LEVEL_INFO);
}

const char *
log_level_name(enum log_level level)
{
    return (unsigned)level < sizeof names / sizeof *names ? names[level] : "?";
}

bool
log_level_parse(const char *name, enum log_level *level)
{
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

void
log_line(enum log_level level, const char *fmt, ...)
{
    char    line[LINE_MAX_BYTES];
    char    when[CLOCK_RFC3339_LEN + 1];
    va_list ap;
    int     saved = errno;

    if (!log_wants(level))
        return;
    int n = 0;
    if (!to_syslog) {
        clock_rfc3339(when, clock_wall_ms());
        n = snprintf(line, sizeof line, "%s %-5s ", when, names[level]);
    }
    n += snprintf(line + n, sizeof line - (size_t)n, "%s: ", speaker);
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    if (m < 0)
        return;
    size_t len = (size_t)n + (size_t)m;
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    /* Text from outside may stand in a line: it must stay one line, and no
     * terminal escapes. */
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    if (to_syslog) {
        line[len] = '\0';
        syslog(priorities[level], "%s", line);
    } else {
        line[len] = '\n';
        /* A log that cannot be written has nobody to tell. */
        (void)!write(fd, line, len + 1);
    }
    errno = saved;
}
