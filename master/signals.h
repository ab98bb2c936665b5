/*
 * signals: handles the signals to the master (ocppd(8)).
 */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

#include <sys/types.h>

/* Starts the watchers. Called once, in the master. */
void signals_watch(void);

/* Called when the new program of an upgrade has taken over: from now on, until
 * this process ends, signals are sent to that process. So are those that were
 * received and not handled yet, and those to open the log or to reload that
 * were handled during the upgrade. */
void signals_forward(pid_t successor);

#endif
