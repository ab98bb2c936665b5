/*
 * inherit: the receiver's side of handover.h, and of rebalance.h.
 *
 * A successor calls inherit_wait() when it is prepared, before it opens the
 * journal; the former process serves until then. INHERIT_SLOT: the lines that
 * belong to the slot have arrived, and the former process has closed the
 * journal and Redis. inherit_slot() applies these lines when journal and Redis
 * are open here. Then connections arrive in the loop and are served at once,
 * while datagrams of the master and new clients wait until the last one has
 * arrived. A connection that does not arrive has ended.
 *
 * A running worker can take over connections too, by inherit_more().
 */
#ifndef WORKER_MOVE_INHERIT_H
#define WORKER_MOVE_INHERIT_H

#include <stdbool.h>

enum inherit_result {
    INHERIT_SLOT, /* this process has the slot now */
    INHERIT_KEPT, /* the former process continues, and this one must end */
    INHERIT_NONE  /* the former process has died; this one must end, and the
                     master starts a successor */
};

/* Waits for the slot. fd: the receiver's end of the pair. */
enum inherit_result inherit_wait(int fd);
/* The argument of claims_open(); "" if it is unknown. */
const char *inherit_incarnation(void);
/* Called when journal, Redis and the rest are open: applies the lines that
   belong to the slot. */
void inherit_slot(void);
/* Starts receiving connections. all_here: called once, when the last one has
 * come; whole is false if the former process died before that. */
void inherit_start(void (*all_here)(bool whole));

/* Handles CHANNEL_inherit: receives connections from fd, and takes it over. */
void inherit_more(int fd);

#endif
