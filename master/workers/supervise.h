/*
 * supervise: the worker slots: start, watch, clean up, start again.
 *
 *              start            `ready'
 *      DOWN ---------> STARTING -------> READY ------> DRAINING
 *       ^ ^               |                |              |
 *       | +---- back-off--+-- any death ---+--------------+
 *       |                 |
 *   worker-restart        | exit code "stay down"
 *       |                 v
 *       +-------------- FAILED    (its listeners are closed)
 *
 * The states stand in shared memory; the master alone writes them.
 */
#ifndef MASTER_WORKERS_SUPERVISE_H
#define MASTER_WORKERS_SUPERVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "channel.h"
#include "workers/listen.h"
#include "shm.h"

/* Binds all listeners; false with a sentence. Then begins to watch, and starts
 * every worker that does not run. */
bool supervise_listen(struct buf *why);
void supervise_begin(void);
void supervise_start(void);

/* Workers close their connections within ms; what still lives some seconds
 * later is killed. up_end() is called when none is left. */
void supervise_drain(uint64_t ms);
/* At once. False if there is none whose end could call up_end(). */
bool supervise_kill(void);

/* A successor takes over, or is about to. */
bool supervise_is_replaced(unsigned n);
/* Starts a successor that takes the connections of a worker over, or starts a
 * failed one again. False with a sentence. */
bool supervise_restart(unsigned slot, struct buf *why);

/* --- for an upgrade (upgrade/) --- */

/* The slot is neither being started nor restarted. */
bool                     supervise_settled(unsigned slot);
pid_t                    supervise_pid(unsigned slot); /* 0: no process */
const struct listen_set *supervise_listeners(unsigned slot);

/* No worker accepts connections, or all do again. */
void supervise_freeze(bool on);

/* Old program: the slot's process writes what it has to `end`, which stays
 * open here, and ends; up_worker_left() follows. must: it may not give up.
 * False if there is no process, or it does not take the order. */
bool supervise_hand_over(unsigned slot, int end, bool must);
/* The slot stays here after all; a process is started if it has none. */
void supervise_keep(unsigned slot);

/* New program: starts the slot's process, which takes over from `end`; that is
 * the callee's. While the old program's process of the slot lives there is no
 * other successor: if the heir dies, up_heir_gone() is called. */
void supervise_heir(unsigned slot, int end);
/* The old process has gone: the slot is an ordinary one. */
void supervise_free(unsigned slot);
/* The master's end of the channel of the slot's process; -1 without one. */
int supervise_channel(unsigned slot);
/* Sockets that were bound during the upgrade begin to listen. */
bool supervise_listen_begin(void);

/* A hint to every worker (config, reopen); to one that does not keep up it
 * is sent again later. */
void supervise_notify_all(enum channel_type type);

/* A datagram to a worker that runs; false with errno, EPIPE if none does. */
bool supervise_send(
    unsigned slot, struct channel_msg *msg, const void *body, size_t n);
/* The same with a descriptor, which stays open here. */
bool supervise_send_fd(unsigned slot, struct channel_msg *msg, int passed);

enum shm_worker_state supervise_state(unsigned slot);

/* An upgrade is under way: no worker accepts connections. */
bool supervise_is_frozen(void);

/* The worker has read all that was handed over to it. */
void supervise_inherited(unsigned slot);

/* The worker reported that it is ready. */
void supervise_ready(unsigned slot);

#endif
