/*
 * watch: looks after the workers that run.
 *
 * Once a second it aborts a worker that makes no progress, kills one whose time
 * is up, sends what is owed, and writes the master's values in shared memory
 * again. Some times a second it looks for slots that do not live
 * (adoption.h).
 */
#ifndef MASTER_WORKERS_WATCH_H
#define MASTER_WORKERS_WATCH_H

void watch_begin(void);

#endif
