/*
 * next_master: the process of the new program's master, in the old program.
 *
 * It is a child of this process, which is the subreaper of its workers
 * (heirs.h). Its pid is in the pid file for the next process (up_next_pid())
 * while it lives.
 */
#ifndef MASTER_UPGRADE_NEXT_MASTER_H
#define MASTER_UPGRADE_NEXT_MASTER_H

#include <sys/types.h>

#include "buf.h"

/* Starts argv and returns this program's end of the link to it, which the
 * caller closes; -1 with a sentence in why. died: called when the process has
 * ended, with a text such as "exited with code 1". */
int next_master_start(
    char *const argv[], void (*died)(const char *how), struct buf *why);
/* Its pid; 0: there is none. */
pid_t next_master_pid(void);
/* Kills it; died is not called. */
void next_master_kill(void);
/* Reports to the service manager that it is the main process now. */
void next_master_announce(void);

#endif
