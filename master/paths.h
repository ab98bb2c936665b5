/*
 * paths: the files and directories a daemon takes for itself: pid file,
 * state directory, the directories of the control socket and of the log.
 */
#ifndef MASTER_PATHS_H
#define MASTER_PATHS_H

#include <stdbool.h>

#include "buf.h"
#include "config.h"

/* Makes what is missing, locks the pid file. False with a sentence. */
bool paths_take(const struct config *c, struct buf *why);
/* For an upgrade. The new program makes what is missing; the old one gives up
 * its locks, but not the lock of the state directory that all processes share;
 * the new one takes them and writes the pid file. */
bool paths_prepare(const struct config *c, struct buf *why);
void paths_unlock(void);
bool paths_lock(const struct config *c, struct buf *why);

/* Would they do? Changes nothing. */
bool paths_test(const struct config *c, struct buf *why);
/* The directory of a log file: made if it is missing, or with make false only
 * looked at. False with a sentence if the file could not be opened. */
bool paths_log(const char *target, bool make, struct buf *why);
/* Removes the pid file. */
void paths_leave(void);

#endif
