/*
 * log: lines for the operator.
 *
 * One line per fact, to stderr, a file or syslog. A line says who speaks
 * ("worker 2", "master"), what happened to what, and what to do about it.
 * The level is read through a pointer, which may point into shared memory:
 * `ocppctl log-level` then reaches every process at once.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

/* who: the speaker's name, copied. Until log_open() lines go to stderr. */
void log_who(const char *who);
/* target: "stderr", "syslog" (a line that syslogd does not take soon is
 * dropped, and how many were is told later; nobody waits for it), or an
 * absolute or relative path of a file. False with errno set if the file cannot
 * be opened; the old target stays. */
bool log_open(const char *target);
/* Opens the file anew (after logrotate); the old one stays on failure. */
bool log_reopen(void);
/* The descriptor that lines go to, for whoever closes all others; -1 while
 * there is no syslogd. */
int log_fd(void);
/* level: int holding an enum log_level; NULL for the built-in info. */
void        log_level_at(const _Atomic int *level);
bool        log_wants(enum log_level level);
const char *log_level_name(enum log_level level);
bool        log_level_parse(const char *name, enum log_level *level);

void log_line(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                         \
    do {                                                                       \
        if (log_wants(LOG_LEVEL_DEBUG))                                        \
            log_line(LOG_LEVEL_DEBUG, __VA_ARGS__);                            \
    } while (0)

#endif
