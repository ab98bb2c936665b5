/*
 * successor: the new program's side of an upgrade. See upgrade.h for the
 * protocol.
 *
 * The old master has started this process, with one end of a link. The process
 * reads its configuration and opens its log as always. Then it does not bind
 * and start workers, but takes over the records that the old program sends. It
 * makes a new segment of shared memory.
 *
 * If the old master dies before a slot has moved, this process ends: the daemon
 * has ended, as after any death of its master. After that it is the master: it
 * waits until the remaining workers of the old program have ended (they close
 * their connections), and starts workers in their slots.
 */
#ifndef MASTER_UPGRADE_SUCCESSOR_H
#define MASTER_UPGRADE_SUCCESSOR_H

#include <stdbool.h>

#include "buf.h"

/* Waits for the sockets and the state of the old program. Called before any
 * socket is bound. False with a sentence; then successor_refuse() must follow.
 */
bool successor_receive(int fd, struct buf *why);
/* Sends the sentence to the old program, which then continues. */
void successor_refuse(const char *why);
/* Starts the processes that will take over the slots, and continues when the
 * old program asks for it. */
void successor_start(void);

/* Called for messages of the workers, and for their ends. */
void successor_inherited(unsigned slot, uint64_t taken, uint64_t closed);
void successor_heir_gone(unsigned slot);
void successor_worker_gone(unsigned slot);

#endif
