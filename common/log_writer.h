/*
 * log_writer: the thread that writes the lines of the log.
 *
 * A disk, the reader of a pipe or syslogd may take any time, and the process
 * that logs must not wait for it. Lines are put into a buffer of 128 KiB, which
 * the thread empties. A line that finds no room or cannot be written is dropped
 * and counted, and a line in the log reports how many are missing.
 *
 * The thread is started by the first line. If that fails, lines are written at
 * once, which may wait. A forked child starts its own, with an empty buffer. At
 * exit(3) the buffer is written, for at most a second.
 */
#ifndef COMMON_LOG_WRITER_H
#define COMMON_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_WRITER_LINE_MAX 2112 /* bytes */

/* Where lines go from now on: an open descriptor, which the writer closes
 * when another one replaces it (never stderr); or syslogd, whose socket it
 * opens, and opens again when syslogd was restarted. */
void log_writer_to(int fd);
void log_writer_to_syslog(void);
/* The descriptor in use, for a child that closes all others; -1 if there is
 * none. */
int log_writer_fd(void);

/* Makes the line that reports missing ones, on the thread. Returns its length,
 * less than size. */
typedef size_t log_writer_note(char *out, size_t size, uint64_t missing);

/* One line, as it is to be written; copied. note: for a later report. */
void log_writer_put(const char *line, size_t len, log_writer_note *note);

/* Waits until all lines are written, for at most ms. */
void log_writer_flush(unsigned ms);

/* The number of lines that were dropped since the process began. */
uint64_t log_writer_lost(void);
/* True if the writing of one line has taken late_ms or longer by now. */
bool log_writer_late(unsigned late_ms);

#endif
