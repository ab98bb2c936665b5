/*
 * locks: the pid file and the lock of the state directory, by which a start
 * finds out that another daemon runs.
 *
 * A function that returns false has appended a sentence to why.
 */
#ifndef MASTER_LOCKS_H
#define MASTER_LOCKS_H

#include <stdbool.h>
#include <sys/types.h>

#include "buf.h"
#include "config.h"

/* Locks the pid file, and writes this process's pid. */
bool locks_take_pidfile(const char *path, struct buf *why);
/* Locks server.state_dir, and stores the descriptor in master.lockfd. Waits for
 * the workers of a former daemon whose master was killed, 15 s longer
 * than server.drain_time and websocket.close_timeout. */
bool locks_take_state_dir(const struct config *c, struct buf *why);

/* For an upgrade: the old program gives up its locks, except the shared lock of
 * the state directory; then the new one takes them over, and writes the pid
 * file. */
void locks_release(void);
bool locks_take_over(const struct config *c, struct buf *why);

/* Removes the pid file. */
void locks_leave(void);

/* Writes the pid of a new master, which continues if this one is killed, to the
 * pid file's name with .next; 0 removes that file. systemd reads it when the
 * main process of the service has ended (PIDFile= in the unit). Returns the
 * name of the file, NULL if it does not hold the pid. */
const char *locks_next_pid(pid_t pid);

#endif
