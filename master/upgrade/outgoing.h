/*
 * outgoing: the slot of the old program that moves now.
 *
 * The old program moves its slots one after the other, in the order of their
 * numbers:
 *
 *   heir      the new program has a process for the slot; the slot's process is
 *             asked to hand over to it
 *   frozen    the slot's process has stopped to serve; the commands of the slot
 *             are sent to the new program, with `take`
 *   go        the new program has the commands; the slot's process may send its
 *             connections. An outcome must not arrive there before its command
 *   left      the slot's process has ended, and `gone` is sent
 *
 * The process may have been started by this master, or by a new one that died
 * (foreign.h).
 */
#ifndef MASTER_UPGRADE_OUTGOING_H
#define MASTER_UPGRADE_OUTGOING_H

#include <stdbool.h>

#include "buf.h"
#include "upgrade/peer_link.h"
#include "upgrade/state_file.h"

/* Begins with slot 0. Both must exist until the last slot has moved. */
void outgoing_first(struct peer_link *l, struct state_file *file);
/* The slot has moved: the next one moves now. */
void outgoing_next(void);
/* The slot; equal to the number of slots that have moved. */
unsigned outgoing_slot(void);
/* True if processes of the new program have connections or commands. */
bool outgoing_begun(void);

/* The heir of a slot exists; takes over `end`, its end of the pair. must: the
 * process cannot refuse, because other slots have moved. False with a sentence
 * if the slot cannot move. */
bool outgoing_heir(unsigned slot, int end, bool must, struct buf *why);
/* Called for a message of the slot's process: it serves no more. */
void outgoing_frozen(void);
/* Called when the new program has the commands. */
void outgoing_go(void);
/* Called when a process has ended. well: it had sent all its connections. */
void outgoing_left(bool well);

/* Kills the slot's process if it was asked and does not answer. False if it was
 * not asked, has answered, or was killed already. */
bool outgoing_kill_silent(void);

/* Called when the new master has died.
 * outgoing_sends(): the slot's process still sends its connections, to an heir
 * that continues. outgoing_adopt(): makes foreign workers of the heirs that
 * have connections, and kills the heir of this slot if it has none. */
bool outgoing_sends(void);
bool outgoing_went(void); /* `go` was sent */
void outgoing_adopt(void);
/* Called when the process that still sent its connections has ended. */
void outgoing_adopt_last(void);

#endif
