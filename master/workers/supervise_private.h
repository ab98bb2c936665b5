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

/* A new process of the slot, with the worker's end of its channel; -1 with
 * errno. inherit: the descriptor from which it takes over, or -1. */
pid_t supervise_fork(unsigned slot, int channel, int inherit);

/* Another process, which is ready, serves the slot from now on. Returns the
 * channel of the former process; that one and its death are the caller's. */
int supervise_replace(unsigned slot, pid_t pid, int channel);

/* Takes what a process that has died sent before: it still counts. */
void supervise_receive_rest(unsigned slot, int channel);

/* A process has ended; calls up_end() if it was the last one that a stop
 * waits for. */
void supervise_ended(void);

#endif
