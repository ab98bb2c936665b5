/*
 * worker: one process that serves a part of the connections.
 *
 * master/ includes only this header of worker/. The master forks; the child
 * calls worker_main() and never returns from it.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "listener.h"
#include "shm.h"

/* Exit codes of a worker, for the master. */
#define WORKER_EXIT_DONE 0       /* drained, or the master has ended */
#define WORKER_EXIT_TRY_AGAIN 75 /* start again, after the usual pause */
/* Do not respawn: the slot cannot work (journal directory unusable, user
 * unknown); its last words give the reason */
#define WORKER_EXIT_STAY_DOWN 77

struct worker_boot {
    struct shm            *shm;
    unsigned               slot;
    int                    channel;   /* this worker's end of the channel */
    const struct listener *listeners; /* listening sockets of this slot */
    unsigned               n_listeners;
    int                    tls_bundle; /* tls_bundle.h; -1 without TLS */
    int inherit; /* the pair from which it takes over the slot; -1: it is the
                    first process, or its predecessor died */
    bool held;   /* accept nothing before CHANNEL_freeze with arg 0 */
};

/* Called in the forked child, with signals at their defaults and not
 * blocked, log_process() not yet set, every descriptor closed that is not
 * listed above (but stdio, the log and the memfd). */
void worker_main(const struct worker_boot *boot) __attribute__((noreturn));

struct buf;

/* Loads the files of TLS as a worker would, and runs the self-test. Appends
 * lines: E an error, N a note, F a file with its name, serial number, type and
 * end, separated by tabs; O at the end. To be called in a process of its own,
 * which ends afterwards. */
void worker_check_tls(const struct config *c, int bundle, struct buf *out);

/* Writes the library of functions as it is loaded into Redis, with the
 * configured prefix and number of shards, for `ocppd -x redis`. */
void worker_put_library(const struct config *c, struct buf *out);

#endif
