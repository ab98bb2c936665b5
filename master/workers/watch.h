/*
 * watch: looks after the workers that run.
 *
 * Once a second it aborts a worker that makes no progress, kills one whose time
 * has run out, sends owed hints, and writes the master's values in shared
 * memory again. Several times a second it looks for slots whose worker is not
 * alive (adoption.h).
 */
#ifndef MASTER_WORKERS_WATCH_H
#define MASTER_WORKERS_WATCH_H

/* Starts the timers. Called once, in the master. */
void watch_begin(void);

#endif
