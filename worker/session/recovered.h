/*
 * recovered: the outcomes of commands that recovery found in the journal.
 *
 * They keep a command from getting a second outcome: the master asks the
 * successor of a dead worker to settle its commands, and a client may send a
 * request again that it had made before the gateway died. The last texts are
 * sent to the master once, which answers such a client (last_outcomes.h).
 */
#ifndef WORKER_SESSION_RECOVERED_H
#define WORKER_SESSION_RECOVERED_H

#include <stdbool.h>
#include <stddef.h>

#include "stats.h"

/* One line of the journal at recovery: notes the outcome that it holds. */
void recovered_line(const char *line, size_t len);
/* Notes an outcome that was made at recovery. payload: that of its event. */
void recovered_note(const char *payload, size_t len);

/* True if a command with this id has ended; with *outcome. */
bool recovered_find(const char *command_id, enum outcome *outcome);

/* Sends the texts that were noted since the last call to the master. Called
 * before the worker is ready, and once a second. */
void recovered_report(void);
/* Forgets the outcomes. Called some time after the start. */
void recovered_forget(void);

#endif
