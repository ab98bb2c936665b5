/*
 * remote_starts: the way from a transaction back to the command that asked for
 * it.
 *
 * When such a command leaves, registry_remotes.h keeps its id, for all workers
 * and beyond the connection; after a restart it is read back from the journal.
 * Each event of the transaction then has the commandId in its `tx`.
 */
#ifndef WORKER_SESSION_REMOTE_STARTS_H
#define WORKER_SESSION_REMOTE_STARTS_H

#include "session/answer.h"
#include "session/publish.h"

/* The event command.sent of a command is being written: appends what leads to
 * its transaction, and remembers the command. */
void remote_starts_sent(struct publish *p, uint32_t entry, const char *action,
    const char *payload, const char *command_id);
/* The charge point does not do what the command asked for. */
void remote_starts_refused(
    uint32_t entry, const char *action, const char *command_id);

/* The command that asked for the transaction of this answer's CALL; NULL if
 * there is none. Valid until the next call. */
const char *remote_starts_command(const struct answer *a);

/* One line of the journal at recovery. */
void remote_starts_recover(const char *line, size_t len);

#endif
