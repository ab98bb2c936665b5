/*
 * successor: the new program's part of an upgrade. See upgrade.h for the
 * protocol.
 *
 * The process was started by the old master, with one end of a link. It reads
 * its configuration and opens its log as always; then, instead of binding and
 * starting workers, it takes over what the old program sends. Its segment is
 * its own.
 *
 * If the old master dies before a slot has moved, this process ends: the daemon
 * is gone, as after any death of its master. After that it is the master: it
 * waits until the remaining workers of the old program have ended (they close
 * their connections), and starts workers in their slots.
 */
#ifndef MASTER_UPGRADE_SUCCESSOR_H
#define MASTER_UPGRADE_SUCCESSOR_H

#include <stdbool.h>

#include "buf.h"

/* Waits for the sockets and the state of the old program. False with a
 * sentence; then refuse. To be called before anything is bound. */
bool successor_receive(int fd, struct buf *why);
/* The sentence is sent to the old program. */
void successor_refuse(const char *why);
/* Starts the processes that will take over the slots, and goes on when the old
 * program asks for it. */
void successor_start(void);

/* Messages of the workers, and their ends. */
void successor_inherited(unsigned slot, uint64_t taken, uint64_t closed);
void successor_heir_gone(unsigned slot);
void successor_worker_gone(unsigned slot);

#endif
