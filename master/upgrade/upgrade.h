/*
 * upgrade: the old program's side of an upgrade.
 *
 *   IDLE --> CHECK ----> PREPARE ----> MOVE ----> FINISH --> the process ends
 *     ^        |            |           |
 *     +--------+------------+-----------+  before a slot has moved: the old
 *                                          program continues, and `status`
 *                                          shows the reason
 *
 *   CHECK     the new program is run twice: it must print the format of its
 *             records (-x upgrade) and accept the configuration (-t)
 *   PREPARE   it is started with one end of a link (peer_link.h), gets the
 *             listeners and the state of the segment, and makes its own
 *             segment. Meanwhile everything is served as always. Changes of
 *             files that are in progress are waited for
 *   MOVE      no worker accepts connections. For each slot the new program
 *             starts a process, the heir, to which this slot's process hands
 *             its connections over; then this process ends
 *   FINISH    commands and clients of the control socket, what has changed in
 *             the registry, locks and the pid file
 *
 * Each step may take upgrade.patience. When a slot has moved, the upgrade is
 * never given up, and the death of one process costs at most the connections of
 * one slot (foreign.h):
 *
 *   new master   Its workers live on, since this one has their channels too.
 *                It starts the new program again, up to AGAIN_MAX times, which
 *                takes over from them and from the workers of this program. At
 *                last they are killed, and workers start in their slots here.
 *   old master   The new one lets the workers of the old one hand over.
 *   old worker   Its heir takes over what was sent; the new master starts a
 *                worker in the slot, which ends the sessions that did not come.
 *   heir         Another one is started, as long as the old worker can
 * continue. One that does not take what was sent to it within upgrade.patience
 * is killed.
 *
 * The records between the masters (peer_link.h). Records of the segment's state
 * (shm_state.h) are in files, whose descriptors are sent.
 *
 *   old: hello format= version= slots= ids=     new: prepared, or
 *        listener kind= slot= (fd)                   refused why=
 *        control path= (fd), lock (fd)
 *        worker slot= (pidfd), channel slot= (fd)
 *        state (fd)
 *   old: begin
 *                                               new: channel slot= (fd),
 *                                                    heir slot= pid= (fd)
 *   old: client ... (fd), pending ...,
 *        take slot=                             new: took slot=
 *   old: gone slot= died=                       new: moved slot= connections=
 *                                                    closed= ms=
 *   old: client ... (fd), pending ..., rest (fd),
 *        key ..., end                           new: running
 */
#ifndef MASTER_UPGRADE_UPGRADE_H
#define MASTER_UPGRADE_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"

/* Begins an upgrade. program: a path, or NULL for the one that was started.
 * False with a sentence if it cannot begin. */
bool upgrade_begin(const char *program, struct buf *why);
bool upgrade_running(void);
/* Ends the new program, so that this one continues. False if a slot has moved.
 */
bool upgrade_cancel(const char *why);
/* Ends the new program and its workers, even if slots have moved. */
void upgrade_abort(void);

/* Called for messages of the workers, and for their ends. */
void upgrade_frozen(unsigned slot);
void upgrade_kept(unsigned slot, bool heir, const char *why);
void upgrade_worker_left(unsigned slot, bool well);

#endif
