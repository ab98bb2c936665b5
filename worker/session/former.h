/*
 * former: sessions and commands that the previous process left open.
 *
 * Recovery hands over the lines of this slot's journal, and before them those
 * of slots that have no worker any more (recovery_orphans()). Sessions and
 * commands that began there and did not end are ended now: a command that was
 * sent and has no outcome gets the outcome uncertain; a session gets the event
 * `disconnected`, with the reason gateway_died if the daemon has died, and
 * worker_died if this worker has died alone.
 *
 * A connection may have moved to another slot (rebalance), and a slot may come
 * back after a time without a worker. So the end of an unfinished session or
 * command is looked for in the journals of the other slots too (unended.h). The
 * slot with a session's last event ends the session; an outcome in any journal
 * counts as the outcome of the command.
 *
 * If this worker has died alone, the registry shows the sessions that were open
 * (worker.c ends these). The journal shows the others: the process had ended
 * the session, or was about to because a newer connection had taken its place,
 * and died before that event was in the journal.
 *
 * At most JOURNAL_RECOVER_MAX bytes of the journal are read back: a session
 * without an event in that part is noticed only if it is in the registry.
 */
#ifndef WORKER_SESSION_FORMER_H
#define WORKER_SESSION_FORMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One line of the journal with its event number, oldest first. */
void former_recover(uint64_t number, const char *line, size_t len);
/* After all lines of this slot: true if the journals of the other slots must be
 * read, because a session or command seems unfinished. May wait until these
 * journals are complete. */
bool former_needs_others(void);
/* One line of another slot's journal, after that. */
void former_neighbour(uint64_t number, const char *line, size_t len);
/* A session of the former process has lost its registry entry, which has this
 * generation: true if the caller must publish its end, with the generation that
 * is stored here. False if that was published before, or if the beginning of
 * the session is not in the journal because the process died too early. */
bool former_ends(const char *name, size_t len, uint64_t *generation);
/* After all lines: forgets what has ended. */
void former_settle(void);
/* The same, and makes the events, and gateway.started at the first start of
 * slot 0. */
void former_end(void);
/* Called once a second, and before this worker accepts connections again after
 * an upgrade: publishes the ends that could not be published before. */
void former_tick(void);

#endif
