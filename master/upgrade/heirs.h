/*
 * heirs: the workers of the new program, as the old program knows them.
 *
 * The old master is the subreaper of the heirs: when the new master dies, they
 * become its children, and their pids are not reused until it waits for them.
 * It then adopts those that have connections: they are foreign workers
 * (foreign.h) from which a second new program takes over.
 */
#ifndef MASTER_UPGRADE_HEIRS_H
#define MASTER_UPGRADE_HEIRS_H

#include <sys/types.h>

/* The heir of a slot, and the master's end of its channel, which is the
 * callee's from now on. */
void heirs_process(unsigned slot, pid_t pid);
void heirs_channel(unsigned slot, int fd);

/* The new master is dead: the slot's heir is a foreign worker from now on.
 * Nothing happens without its process or its channel. */
void heirs_adopt(unsigned slot);
/* An adopted one has ended: its wait status. */
int heirs_reap(unsigned slot);

/* Kills the heir of a slot, or all, also those that were adopted. */
void heirs_kill(unsigned slot);
void heirs_kill_all(void);

#endif
