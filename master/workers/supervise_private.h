/* supervise_private: what a succession needs of the slots. The callers are
 * supervise.c and succession.c only. */
#ifndef MASTER_WORKERS_SUPERVISE_PRIVATE_H
#define MASTER_WORKERS_SUPERVISE_PRIVATE_H

#include <sys/types.h>

/* A new process of the slot, with the worker's end of its channel; -1 with
 * errno. inherit: the descriptor from which it takes over, or -1. */
pid_t supervise_fork(unsigned slot, int channel, int inherit);

/* Another process, which is ready, serves the slot from now on. Returns the
 * channel of the former process; that one and its death are the caller's. */
int supervise_replace(unsigned slot, pid_t pid, int channel);

/* No succession comes about: the slot's process goes on. */
void supervise_goes_on(unsigned slot);

/* Takes what a process that has died sent before: it still counts. */
void supervise_receive_rest(unsigned slot, int channel);

/* An unexpected death in the slot; text: how the process ended. */
void supervise_count_death(unsigned slot, const char *text);

/* A process has ended; calls up_end() if it was the last one that a stop
 * waits for. */
void supervise_ended(void);

#endif
