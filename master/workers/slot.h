/*
 * slot: the places of the workers. Each has one process that serves it, the
 * channel to it, and the listening sockets that stay when the process dies.
 *
 * The states are in shared memory; only the master writes them (supervise.h).
 */
#ifndef MASTER_WORKERS_SLOT_H
#define MASTER_WORKERS_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "channel.h"
#include "shm.h"
#include "workers/listen.h"

/* The state of slot n, which must be below master.slots. */
enum shm_worker_state slot_state(unsigned n);
/* True if the slot is neither being started nor restarted. */
bool  slot_is_settled(unsigned n);
pid_t slot_pid(unsigned n); /* 0: no process */
/* The master's end of the channel of the slot's process; -1 if there is
   none. */
int slot_channel(unsigned n);
/* The listening sockets of slot n, also while it has no process. */
const struct listen_set *slot_listeners(unsigned n);

/* Sends a datagram to a running worker; false with errno, EPIPE if it does not
   run. */
bool slot_send(
    unsigned slot, struct channel_msg *msg, const void *body, size_t n);
/* Sends a datagram with a descriptor, which the caller keeps; false as
 * slot_send(). */
bool slot_send_fd(unsigned n, struct channel_msg *msg, int passed);

/* Calls listen(2) for the sockets that were bound during an upgrade. False if
 * one of the calls has failed. */
bool slot_listen_begin(void);

#endif
