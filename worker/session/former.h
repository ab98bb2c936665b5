/*
 * former: sessions and commands that the previous process left open.
 *
 * Recovery hands over the lines of this slot's journal, and before them those
 * of slots that have no worker any more (recovery_orphans()). Sessions and
 * commands that began there and did not end are ended now: a command that was
 * sent and has no outcome gets the outcome uncertain, a session of a daemon
 * that died gets the event `disconnected` with the reason gateway_died. (The
 * sessions of a worker that died alone are in the registry, and end as
 * worker_died.)
 *
 * A connection may have moved to another slot (rebalance), and a slot may come
 * back after a time without a worker. So the end of an unfinished session or
 * command is looked for in the journals of the other slots too. The slot with a
 * session's last event ends the session; an outcome in any journal counts as
 * the outcome of the command.
 *
 * At most JOURNAL_RECOVER_MAX bytes of the journal are read back: a session
 * without an event in that part is not noticed.
 */
#ifndef WORKER_SESSION_FORMER_H
#define WORKER_SESSION_FORMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One line of the journal with its event number, oldest first. */
void former_recover(uint64_t number, const char *line, size_t len);
/* The same, but only for sessions. */
void former_recover_session(uint64_t number, const char *line, size_t len);
/* After all lines of this slot: true if a session or command seems
   unfinished. */
bool former_any(void);
/* One line of another slot's journal, after that. */
void former_neighbour(uint64_t number, const char *line, size_t len);
/* The session was found in the registry, and its end was published. */
void former_buried(const char *name, size_t len, uint64_t generation);
/* After all lines: makes the events, and gateway.started at the first start of
 * slot 0. */
void former_end(void);
/* Called once a second: publishes events that the journal had no room for. */
void former_tick(void);

#endif
