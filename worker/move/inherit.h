/*
 * inherit: the receiver's side of handover.h, and of rebalance.h.
 *
 * A successor calls inherit_wait() when it is prepared, before it opens the
 * journal: the former process goes on until then. With INHERIT_SLOT the slot's
 * own lines are there, and the former process has closed journal and Redis;
 * inherit_slot() puts them in place when these are open here. Then connections
 * arrive in the loop and are served at once, while the datagrams of the master
 * and new clients wait until the last one is there. What did not come has
 * ended.
 *
 * A worker that runs takes connections over as well: inherit_more().
 */
#ifndef WORKER_MOVE_INHERIT_H
#define WORKER_MOVE_INHERIT_H

#include <stdbool.h>

enum inherit_result {
    INHERIT_SLOT, /* the slot is this process' now */
    INHERIT_KEPT, /* the former process goes on: this one ends */
    INHERIT_NONE  /* the former process died: this one ends, and the master
                     starts a successor */
};

/* fd: the receiver's end of the pair. */
enum inherit_result inherit_wait(int fd);
/* The argument of claims_open(); "" if it is unknown. */
const char *inherit_incarnation(void);
/* Journal, Redis and the rest are open. */
void inherit_slot(void);
/* Connections arrive from here on. all_here: called once, when no more come;
 * not whole: the former process has died in the middle. */
void inherit_start(void (*all_here)(bool whole));

/* CHANNEL_inherit: takes over fd. */
void inherit_more(int fd);

#endif
