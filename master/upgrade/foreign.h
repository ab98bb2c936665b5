/*
 * foreign: worker processes that another master has started.
 *
 * Each master of an upgrade has a second descriptor of the other one's channels
 * to the workers that hand over, or have taken over. It is not read while the
 * other master lives. When that one has died, its workers do not notice it,
 * because their channels stay open here, and this master lets them hand over.
 *
 * Calls come back only between foreign_watch() and foreign_forget().
 */
#ifndef MASTER_UPGRADE_FOREIGN_H
#define MASTER_UPGRADE_FOREIGN_H

#include <stdbool.h>

struct foreign_calls {
    void (*frozen)(unsigned slot);
    /* It goes on, because of why; heir: since its heir has ended. */
    void (*kept)(unsigned slot, bool heir, const char *why);
    void (*ended)(unsigned slot); /* the process */
};

/* Take over a descriptor: the master's end of a worker's channel, and a pidfd.
 * A later one of the slot takes the place of the former. */
void foreign_channel(unsigned slot, int fd);
void foreign_process(unsigned slot, int fd);

/* The other master is dead. No worker accepts connections from here on. */
void foreign_watch(const struct foreign_calls *calls);
/* The slot's process is known, and has not ended. */
bool foreign_lives(unsigned slot);
/* False if it cannot be reached. end stays open here. */
bool foreign_hand_over(unsigned slot, int end);
bool foreign_go(unsigned slot);
/* For the masters' link: the descriptors, -1 if there is none. */
int foreign_channel_fd(unsigned slot);
int foreign_process_fd(unsigned slot);
/* SIGKILL. */
void foreign_kill(unsigned slot);

/* Closes what there is of the slot. */
void foreign_forget(unsigned slot);

#endif
