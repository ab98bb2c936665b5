/*
 * incoming: the slot of the old program that moves to this one now.
 *
 * The slots move one after the other. A slot has moved when its old process has
 * ended and its heir has reported what it has taken over. A slot that the new
 * program does not have, because it has fewer, moves to one of its running
 * workers.
 *
 * The old master passes the heir's socket to the old process, and reports the
 * end of that process. After its death this program does both (foreign.h).
 */
#ifndef MASTER_UPGRADE_INCOMING_H
#define MASTER_UPGRADE_INCOMING_H

#include <stdbool.h>
#include <stdint.h>

#include "upgrade/peer_link.h"
#include "upgrade/result.h"

/* Begins with slot 0. done: called when all slots have moved and the old master
 * is dead; if it lives, its record `end` follows. The link and the result, in
 * which each slot is counted, must exist until then. */
void incoming_begin(
    struct peer_link *l, struct result *result, void (*done)(void));

unsigned incoming_slot(void);
/* True if the slot's commands have arrived, after which the old program cannot
   take the slot back. */
bool incoming_taken(void);
/* True if the slot's old process has ended. */
bool incoming_left(void);

/* Makes the old process hand over to the heir that the slot has now. */
void incoming_offer(void);
/* The commands of a slot have arrived: answers that its connections may
   follow. */
void incoming_take(unsigned slot);
/* The slot's old process has ended. died: before everything was sent. */
void incoming_gone(unsigned slot, bool died);
/* The slot's heir has taken over. */
void incoming_inherited(unsigned slot, uint64_t taken, uint64_t closed);
/* The slot's heir has ended and has no successor. */
void incoming_heir_lost(void);
/* A worker has ended whose own slot had moved already. */
void incoming_worker_gone(unsigned slot);
/* Called once, when the old master is dead, in any phase of the upgrade. */
void incoming_orphaned(void);

#endif
