/*
 * paths: the files and directories of a daemon: pid file, state directory, the
 * directories of the control socket and of the log.
 */
#ifndef MASTER_PATHS_H
#define MASTER_PATHS_H

#include <stdbool.h>
#include <sys/types.h>

#include "buf.h"
#include "config.h"

/* Makes missing directories, and locks the pid file. False with a sentence. */
bool paths_take(const struct config *c, struct buf *why);
/* For an upgrade. The new program makes missing directories with
 * paths_prepare(). Then the old program gives up its locks with paths_unlock(),
 * except the shared lock of the state directory, and the new one takes them and
 * writes the pid file with paths_lock(). False with a sentence in why. */
bool paths_prepare(const struct config *c, struct buf *why);
void paths_unlock(void);
bool paths_lock(const struct config *c, struct buf *why);

/* Tests whether paths_take() would succeed. It makes files of a moment and
 * leaves nothing behind. False with a sentence. */
bool paths_test(const struct config *c, struct buf *why);
/* Makes the directory of a log file if it is missing; with make false it is
 * only tested. False with a sentence if the file could not be opened. */
bool paths_log(const char *target, bool make, struct buf *why);
/* Removes the pid file. */
void paths_leave(void);

/* Writes the pid of a new master, which goes on if this one is killed, to the
 * pid file's name with .next; 0 removes that file. systemd reads it when the
 * main process of the service has ended (PIDFile= in the unit). Returns the
 * name of the file, NULL if it does not hold the pid. */
const char *paths_next_pid(pid_t pid);

#endif
