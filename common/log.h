/*
 * log: lines for the operator.
 *
 * One line per fact, to stderr, a file or syslog. A line names the process that
 * logs it ("worker 2", "master"), the object, what happened to it, and the
 * remedy. Logging never waits: a thread writes the lines (log_writer.h). The
 * level is read through a pointer, which may point into shared memory: then
 * `ocppctl log-level` reaches every process at once.
 *
 * The master alone opens the log file, because workers run as another user.
 * They inherit its descriptor, and get the one of a new file in a datagram.
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

/* Sets the process's name in log lines; it is copied. Until log_open() lines go
 * to stderr. */
void log_process(const char *who);
/* target: "stderr", "syslog", or the path of a file. False with errno set if
 * the file cannot be opened. */
bool log_open(const char *target);
/* The log file's path; "" if the target is not a file. */
const char *log_path(void);
/* Opens a log file; -1 with errno. It may wait for the disk. */
int log_open_file(const char *name);
/* From now on lines are written to fd, a newly opened log file. The log takes
 * fd over: it closes it when it is replaced, or at once if the target is not a
 * file. */
void log_take(int fd);
/* The descriptor that lines go to, for a child that closes all others; -1
 * while there is no syslogd. */
int log_fd(void);
/* Sets the place from which the level is read, an int that holds an enum
 * log_level; with NULL the level is info. log_wants(): true if lines of this
 * level are logged. log_level_parse(): false if the name is not that of a
 * level. */
void        log_level_at(const _Atomic int *level);
bool        log_wants(enum log_level level);
const char *log_level_name(enum log_level level);
bool        log_level_parse(const char *name, enum log_level *level);

/* Logs one line; the text has no newline at its end. A line of more than 2 KiB
 * is cut, and characters that a terminal interprets become ?. errno is
 * unchanged. */
void log_line(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Logs each line of a text, with prefix before it. */
void log_lines(enum log_level level, const char *prefix, const char *text);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                         \
    do {                                                                       \
        if (log_wants(LOG_LEVEL_DEBUG))                                        \
            log_line(LOG_LEVEL_DEBUG, __VA_ARGS__);                            \
    } while (0)

#endif
