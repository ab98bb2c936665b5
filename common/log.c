/* log: lines for the operator. See log.h. */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "printable.h"

#define LINE_MAX_BYTES 2048 /* longer lines are cut; one write() each */
#define SYSLOG_WAIT_MS 100  /* of each second, for a syslogd that is slow */

static const char *const names[] = {"error", "warn", "info", "debug"};
static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

static char               speaker[32] = "ocppd";
static char               path[256]; /* "" unless the target is a file */
static bool               to_syslog;
static int                fd = STDERR_FILENO; /* -1: syslogd is not there */
static unsigned           lost;               /* lines it did not take */
static const _Atomic int *level_ptr;

void
log_who(const char *who)
{
    snprintf(speaker, sizeof speaker, "%s", who);
    lost = 0; /* those of the process that made us, which tells it itself */
}

/* ---- syslog ----
 *
 * Not syslog(3), which waits for as long as syslogd takes nothing: the whole
 * gateway would wait with it. */

static int
syslog_connect(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = _PATH_LOG};
    int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (s >= 0 && connect(s, (struct sockaddr *)&un, sizeof un) != 0) {
        close(s);
        s = -1;
    }
    return s;
}

/* A burst is more than the socket's queue may hold. */
static bool
syslog_room(void)
{
    static uint64_t second, spent;
    uint64_t        now = clock_mono_ms();

    if (second != now / 1000) {
        second = now / 1000;
        spent = 0;
    }
    if (spent >= SYSLOG_WAIT_MS)
        return false;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    poll(&p, 1, (int)(SYSLOG_WAIT_MS - spent));
    /* At least something, or others who fill it again keep us here. */
    spent += clock_mono_ms() - now + 1;
    return true;
}

static bool
syslog_send(const char *text, size_t n)
{
    bool anew = false; /* it was restarted, or comes only now */

    for (;;) {
        if (fd >= 0 && send(fd, text, n, MSG_NOSIGNAL) >= 0)
            return true;
        if (fd >= 0 && errno == EINTR)
            continue;
        if (fd >= 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            if (!syslog_room())
                return false;
            continue;
        }
        if (anew)
            return false;
        anew = true;
        if (fd >= 0)
            close(fd);
        fd = syslog_connect();
    }
}

static bool
syslog_line(enum log_level level, const char *text)
{
    char      line[LINE_MAX_BYTES + 64], when[32];
    time_t    now = time(NULL);
    struct tm tm;

    if (localtime_r(&now, &tm) == NULL ||
        strftime(when, sizeof when, "%b %e %H:%M:%S", &tm) == 0)
        when[0] = '\0';
    int n = snprintf(line, sizeof line, "<%d>%s ocppd[%d]: %s",
        LOG_DAEMON | priorities[level], when, (int)getpid(), text);
    return syslog_send(
        line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

static void
syslog_put(enum log_level level, const char *text)
{
    char note[128];

    if (lost > 0) {
        snprintf(note, sizeof note,
            "%s: %u lines are missing here: syslogd did not take them", speaker,
            lost);
        if (syslog_line(LOG_LEVEL_WARN, note))
            lost = 0;
    }
    if (!syslog_line(level, text))
        lost++;
}

/* --- the log ------------------------------------------------------------- */

bool
log_open(const char *target)
{
    int next = STDERR_FILENO;

    if (strcmp(target, "syslog") == 0) {
        if (fd >= 0 && fd != STDERR_FILENO)
            close(fd);
        fd = syslog_connect(); /* now: there may be no descriptors later */
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
    if (fd >= 0 && fd != STDERR_FILENO)
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
    return fd;
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
    /* Text from outside may stand in a line: it must stay one line, without
     * anything that a terminal obeys. */
    printable_mask(line, len);
    if (to_syslog) {
        line[len] = '\0';
        syslog_put(level, line);
    } else {
        line[len] = '\n';
        /* A log that cannot be written has nobody to tell. */
        (void)!write(fd, line, len + 1);
    }
    errno = saved;
}
