/*
 * remote_starts: finds the command that asked for a transaction.
 *
 * When such a command is sent, registry_remotes.h keeps its id, for all workers
 * and longer than the connection lasts. After a restart the id is read back
 * from the journal. Each event of the transaction then has the commandId in its
 * `tx`.
 */
#ifndef WORKER_SESSION_REMOTE_STARTS_H
#define WORKER_SESSION_REMOTE_STARTS_H

#include "session/answer.h"
#include "session/publish.h"

/* Called while the event command.sent is written: appends the members by which
 * the transaction is found, and remembers the command. */
void remote_starts_sent(struct publish *p, uint32_t entry, const char *action,
    const char *payload, const char *command_id);
/* Called when the charge point has refused the command. */
void remote_starts_refused(
    uint32_t entry, const char *action, const char *command_id);

/* The command that asked for the transaction of this answer's CALL, whose
 * payload must be in answer_payload; NULL if there is none. Valid until the
 * next call. */
const char *remote_starts_command(const struct answer *a);

/* One line of the journal at recovery. */
void remote_starts_recover(const char *line, size_t len);

#endif
