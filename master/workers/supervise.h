/*
 * supervise: the worker slots: start, watch, bury, start again.
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

#include "buf.h"
#include "channel.h"
#include "shm.h"

/* Binds all listeners; false with a sentence. Then starts all workers. */
bool supervise_listen(struct buf *why);
void supervise_start(void);

/* Workers close their connections within ms; what still lives some seconds
 * later is killed. up_end() is called when none is left. */
void supervise_drain(uint64_t ms);
void supervise_kill(void);

/* Drains one worker and starts its successor, or starts a failed one again.
 * False with a sentence. */
bool supervise_restart(unsigned slot, struct buf *why);

/* A hint to every worker (config, reopen); to one that does not keep up it
 * is sent again later. */
void supervise_tell_all(enum channel_type type);

/* A datagram to a worker that runs; false with errno, EPIPE if none does. */
bool supervise_send(
    unsigned slot, struct channel_msg *msg, const void *body, size_t n);
/* The same with a descriptor, which stays open here. */
bool supervise_send_fd(unsigned slot, struct channel_msg *msg, int passed);

enum shm_worker_state supervise_state(unsigned slot);

/* The worker said that it is ready. */
void supervise_ready(unsigned slot);

#endif
