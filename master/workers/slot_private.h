/*
 * slot_private: the state of a worker's place, for the files of this folder
 * only. Times are those of clock_mono_ms().
 */
#ifndef MASTER_WORKERS_SLOT_PRIVATE_H
#define MASTER_WORKERS_SLOT_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ev.h>

#include "shm.h"
#include "workers/listen.h"

/* A second process of a slot, beside the one that serves it (succession.h). */
struct slot_other {
    pid_t    pid; /* 0: there is none, and the other members are meaningless */
    unsigned slot;
    int      channel; /* the master's end */
    ev_io    io;
    ev_child child;
    uint64_t kill_ms; /* when SIGKILL is due */
};

struct slot {
    unsigned          n;
    bool              inheriting; /* connections are on their way to it */
    struct listen_set listeners;
    int               channel; /* the master's end of the channel; -1: no
                                  process */
    ev_io                 io;
    ev_child              child;
    ev_timer              respawn;
    pid_t                 pid; /* 0: no process */
    enum shm_worker_state state;
    uint64_t              born; /* as shm_worker.born */
    uint64_t              started_ms;
    uint64_t              ready_ms;   /* when it became ready; 0: not yet */
    uint64_t              backoff_ms; /* child_backoff() */
    uint64_t              kill_ms;    /* when SIGKILL is due; 0 never */
    unsigned              stuck;      /* ticks without progress */
    unsigned              deaths;     /* unexpected deaths */
    unsigned              tries;      /* deaths before the daemon was ready */
    unsigned              owed;       /* bit t: a hint of type t must still be
                                         sent */
    uint64_t drain_ms;                /* arg of an owed drain: a duration */
    uint64_t lived_ms;                /* when it was last seen to accept
                                         connections */
    bool restart;                     /* an operator asked for a successor */
    bool leaving;                     /* its connections go to a new program */
    bool awaits;                      /* waits for the end of the old program's
                                         process of the slot */
    int inherit;                      /* descriptor from which the next process
                                         takes over; -1: none */

    struct slot_other heir;   /* the heir, until the slot is handed over to
                                 it */
    struct slot_other former; /* the former process, from then on until it has
                                 ended */
};

/* Called once, when the number of slots is known. slot_created(): true after
 * that. */
void slot_create(void);
bool slot_created(void);

/* Slot n, which must be below master.slots. */
struct slot *slot_at(unsigned n);

/* The part of the slot in shared memory. */
struct shm_worker *slot_shared(const struct slot *s);
void               slot_set_state(struct slot *s, enum shm_worker_state state);

/* Copies the last message of a process that has died: printable,
   NUL-terminated. */
const char *slot_last_words(const struct slot *s, char out[SHM_WORDS_MAX]);
/* Counts an unexpected death. text: how the process ended. */
void slot_count_death(unsigned n, const char *text);

/* True if there is an heir, or a former process that has not ended. */
bool slot_has_other(const struct slot *s);
/* These send SIGKILL. The ends of the processes are reported later. */
void slot_kill_heir(const struct slot *s);
void slot_kill_others(const struct slot *s);

/* True if a successor takes over, or is about to. */
bool slot_is_replaced(unsigned n);

/* Opens the listeners of the slot; false with a sentence. */
bool slot_listen(struct slot *s, int backlog, struct buf *why);

#endif
