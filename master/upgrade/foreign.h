/*
 * foreign: worker processes that another master has started.
 *
 * In an upgrade each master has copies of the other master's channels to the
 * workers that hand over, or have taken over. They are not read while the other
 * master lives. If it dies, its workers do not notice, because their channels
 * stay open here, and this master makes them hand over.
 *
 * The functions of foreign_calls are called only between foreign_watch() and
 * foreign_forget().
 */
#ifndef MASTER_UPGRADE_FOREIGN_H
#define MASTER_UPGRADE_FOREIGN_H

#include <stdbool.h>

struct foreign_calls {
    void (*frozen)(unsigned slot);
    /* The worker has given up the hand-over and continues. why: the reason;
       heir: because its heir has ended. */
    void (*kept)(unsigned slot, bool heir, const char *why);
    void (*ended)(unsigned slot); /* the process of the slot has ended */
};

/* Take over a descriptor: the master's end of a worker's channel, or its pidfd.
 * A later one of the same slot replaces the former. */
void foreign_channel(unsigned slot, int fd);
void foreign_process(unsigned slot, int fd);

/* Called when the other master is dead. From here on no worker accepts
   connections. */
void foreign_watch(const struct foreign_calls *calls);
/* True if the slot's process is known and has not ended. */
bool foreign_lives(unsigned slot);
/* Makes the slot's process hand over to `end`, which stays open here. False if
   the process cannot be reached. */
bool foreign_hand_over(unsigned slot, int end);
/* Lets the slot's process send what it has frozen. False as
   foreign_hand_over(). */
bool foreign_go(unsigned slot);
/* For the link between the masters: the descriptors, -1 if there is none. */
int foreign_channel_fd(unsigned slot);
int foreign_process_fd(unsigned slot);
/* Kills the slot's process by SIGKILL. */
void foreign_kill(unsigned slot);

/* Closes the descriptors of the slot. */
void foreign_forget(unsigned slot);

#endif
