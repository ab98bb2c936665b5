/*
 * supervise: the workers: start, clean up, start again.
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
#include <stdint.h>

#include "buf.h"

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

/* --- for an upgrade (upgrade/) --- */

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

/* --- messages of a worker --- */

/* The worker has read all that was handed over to it. */
void supervise_inherited(unsigned slot);

/* The worker reported that it is ready. */
void supervise_ready(unsigned slot);

#endif
