/*
 * heirs: the workers of the new program, in the old program.
 *
 * The old master is the subreaper of the heirs: when the new master dies, they
 * become its children, and their pids are not reused until it waits for them.
 * It then adopts those that have connections: they are foreign workers
 * (foreign.h) from which a second new program takes over.
 */
#ifndef MASTER_UPGRADE_HEIRS_H
#define MASTER_UPGRADE_HEIRS_H

#include <sys/types.h>

/* Store the pid of a slot's heir, and the master's end of its channel, which is
 * taken over. */
void heirs_process(unsigned slot, pid_t pid);
void heirs_channel(unsigned slot, int fd);

/* Called when the new master is dead: makes the slot's heir a foreign worker.
 * Does nothing if its process or its channel is unknown. */
void heirs_adopt(unsigned slot);
/* Called when an adopted heir has ended; returns its wait status. */
int heirs_reap(unsigned slot);

/* Kill the heir of a slot, or all heirs, including adopted ones. */
void heirs_kill(unsigned slot);
void heirs_kill_all(void);

#endif
