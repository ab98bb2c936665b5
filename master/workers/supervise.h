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
 * The states are in shared memory; only the master writes them.
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

/* Makes workers close their connections within ms; those that have not ended
 * some seconds later are killed. up_end() is called when none is left. */
void supervise_drain(uint64_t ms);
/* Kills all workers at once. False if there is none whose end could call
   up_end(). */
bool supervise_kill(void);

/* --- for an upgrade (upgrade/) --- */

/* Old program: makes the slot's process write its connections and state to
 * `end`, which stays open here, and end; up_worker_left() follows. must: it may
 * not give up. False if there is no process, or the order cannot be sent. */
bool supervise_hand_over(unsigned slot, int end, bool must);
/* The slot does not move: starts a process if it has none. */
void supervise_keep(unsigned slot);

/* New program: starts the slot's process, which takes over from `end`. Takes
 * `end` over. If the heir dies while the old program's process of the slot
 * lives, no successor is started, and up_heir_gone() is called. */
void supervise_heir(unsigned slot, int end);
/* Called when the old process has ended: the slot is supervised as usual. */
void supervise_free(unsigned slot);

/* --- messages of a worker --- */

/* Called when the worker has read all connections that were handed over to
   it. */
void supervise_inherited(unsigned slot);

/* Called when the worker has reported that it is ready. */
void supervise_ready(unsigned slot);

#endif
