/*
 * supervise_private: the steps of which a restart and a succession consist. The
 * callers are restart.c and succession.c only.
 */
#ifndef MASTER_WORKERS_SUPERVISE_PRIVATE_H
#define MASTER_WORKERS_SUPERVISE_PRIVATE_H

#include <stdint.h>
#include <sys/types.h>

struct slot;

/* Starts a process in a slot that has none, at once or as soon as it can be. */
void supervise_start_one(struct slot *s);

/* Lets a worker close its connections within ms, and end. */
void supervise_drain_one(struct slot *s, uint64_t ms);

/* Forks a new process of the slot. channel: the worker's end of its channel.
 * inherit: the descriptor from which it takes over, or -1. -1 with errno. */
pid_t supervise_fork(unsigned slot, int channel, int inherit);

/* Makes another process, which is ready, serve the slot. Returns the channel of
 * the former process; the caller must close it and handle the death of that
 * process. */
int supervise_replace(unsigned slot, pid_t pid, int channel);

/* Reads the datagrams that a process sent before it died, which are still
   valid. */
void supervise_receive_rest(unsigned slot, int channel);

/* Called when a process has ended; calls up_end() if it was the last one that a
 * stop waits for. */
void supervise_ended(void);

#endif
