/*
 * daemonize: how the daemon leaves the terminal (-d).
 *
 * The process that was started waits on a pipe until the daemon is ready or
 * has failed, and exits with its verdict; so the exit status of `ocppd -d`
 * is right. In the foreground all of this does nothing.
 */
#ifndef MASTER_DAEMONIZE_H
#define MASTER_DAEMONIZE_H

#include <stdbool.h>

/* Comes back in the daemon, with stdio at /dev/null. */
void daemonize_enter(void);

/* The process that was started exits with 0. */
void daemonize_ready(void);

/* It prints why and exits with code. In the foreground, why is printed here
 * if print is true. */
void daemonize_failed(int code, const char *why, bool print);

#endif
