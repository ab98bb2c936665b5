/*
 * former: sessions and commands that the previous process left open.
 *
 * Recovery hands over the lines of this slot's journal, and before them those
 * of slots that have no worker any more (recovery_orphans()). What began there
 * and did not end is ended now: a command that was sent and has no outcome is
 * uncertain, a session of a daemon that died is disconnected with the reason
 * gateway_died. (The sessions of a worker that died alone are in the
 * registry, and end as worker_died.)
 *
 * A connection may have moved to another slot (rebalance), and a slot may come
 * back after a time without a worker. So what seems unfinished is looked for in
 * the journals of the other slots too: the slot with a session's last event
 * ends it, and a command with an outcome anywhere has it.
 *
 * As much of the journal is read back as JOURNAL_RECOVER_MAX: a session without
 * any event in that part is not seen.
 */
#ifndef WORKER_SESSION_FORMER_H
#define WORKER_SESSION_FORMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One line of the journal with its event number, oldest first. */
void former_recover(uint64_t number, const char *line, size_t len);
/* The same for what it contains about sessions. */
void former_recover_session(uint64_t number, const char *line, size_t len);
/* Whether anything seems unfinished, after all lines of this slot. */
bool former_any(void);
/* One line of another slot's journal, after that. */
void former_neighbour(uint64_t number, const char *line, size_t len);
/* The end of this session was found in the registry, and has its event. */
void former_buried(const char *name, size_t len, uint64_t generation);
/* All lines are there: makes the events, and gateway.started at the first start
 * of the daemon's slot 0. */
void former_end(void);
/* Once a second: what the journal had no room for. */
void former_tick(void);

#endif
