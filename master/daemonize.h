/*
 * daemonize: detaches the daemon from the terminal (-d).
 *
 * The process that was started waits on a pipe until the daemon is ready or has
 * failed, and exits with the code that the daemon sends. So the exit status of
 * `ocppd -d` shows whether it started. In the foreground these functions do
 * nothing.
 */
#ifndef MASTER_DAEMONIZE_H
#define MASTER_DAEMONIZE_H

#include <stdbool.h>

/* Forks; returns in the daemon, with stdio at /dev/null. */
void daemonize_enter(void);

/* Lets the process that was started exit with 0. */
void daemonize_ready(void);

/* Lets the process that was started print `why` and exit with `code`. In the
 * foreground `why` is printed here, if print is true. */
void daemonize_failed(int code, const char *why, bool print);

#endif
