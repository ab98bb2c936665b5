/* log: lines for the operator. See log.h. */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log_writer.h"
#include "printable.h"

#define LINE_MAX_BYTES 2048 /* longer lines are cut; one write() each */

static const char *const names[] = {"error", "warn", "info", "debug"};
static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

static char               speaker[32] = "ocppd";
static char               path[256]; /* "" unless the target is a file */
static bool               to_syslog;
static const _Atomic int *level_ptr;

void
log_process(const char *who)
{
    snprintf(speaker, sizeof speaker, "%s", who);
}

/* Makes a line for syslogd, which begins with priority, time and process. */
static size_t
syslog_text(char *out, size_t size, enum log_level level, const char *text)
{
    char      when[32];
    time_t    now = time(NULL);
    struct tm tm;

    if (localtime_r(&now, &tm) == NULL ||
        strftime(when, sizeof when, "%b %e %H:%M:%S", &tm) == 0)
        when[0] = '\0';
    int n = snprintf(out, size, "<%d>%s ocppd[%d]: %s",
        LOG_DAEMON | priorities[level], when, (int)getpid(), text);
    return (size_t)n < size ? (size_t)n : size - 1;
}

static size_t
missing_note(char *out, size_t size, uint64_t missing)
{
    char text[160], when[CLOCK_RFC3339_LEN + 1];

    snprintf(text, sizeof text,
        "%s: %llu lines are missing here, because the log could not accept "
        "them",
        speaker, (unsigned long long)missing);
    if (to_syslog)
        return syslog_text(out, size, LOG_LEVEL_WARN, text);
    clock_rfc3339(when, clock_wall_ms());
    return (size_t)snprintf(
        out, size, "%s %-5s %s\n", when, names[LOG_LEVEL_WARN], text);
}

/* --- the log ------------------------------------------------------------- */

bool
log_open(const char *target)
{
    path[0] = '\0';
    to_syslog = strcmp(target, "syslog") == 0;
    if (to_syslog) {
        log_writer_to_syslog();
        return true;
    }
    if (strcmp(target, "stderr") == 0) {
        log_writer_to(STDERR_FILENO);
        return true;
    }
    int fd = log_open_file(target);
    if (fd < 0)
        return false;
    snprintf(path, sizeof path, "%s", target);
    log_writer_to(fd);
    return true;
}

int
log_open_file(const char *name)
{
    if (strlen(name) >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

const char *
log_path(void)
{
    return path;
}

void
log_take(int fd)
{
    if (path[0] != '\0')
        log_writer_to(fd);
    else
        close(fd);
}

int
log_fd(void)
{
    return log_writer_fd();
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
    /* A line may contain text from outside. It must stay one line, and must not
     * contain characters that a terminal interprets. */
    printable_mask(line, len);
    if (to_syslog) {
        char whole[LOG_WRITER_LINE_MAX];
        line[len] = '\0';
        log_writer_put(
            whole, syslog_text(whole, sizeof whole, level, line), missing_note);
    } else {
        line[len] = '\n';
        log_writer_put(line, len + 1, missing_note);
    }
    errno = saved;
}

void
log_lines(enum log_level level, const char *prefix, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        if (n > 0)
            log_line(level, "%s%.*s", prefix, (int)n, text);
        text += n + (text[n] == '\n');
    }
}
