/*
 * offer: the records that the old program sends to the new one; upgrade.h lists
 * them.
 */
#ifndef MASTER_UPGRADE_OFFER_H
#define MASTER_UPGRADE_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "upgrade/peer_link.h"

/* Listeners, control socket, lock, processes of the workers. */
void offer_first(struct peer_link *l);
/* A descriptor that belongs to a worker: `worker`, its process, or `channel`.
 */
void offer_worker(struct peer_link *l, const char *word, unsigned slot, int fd);
/* A file of records: `state` or `rest`. */
void offer_file(struct peer_link *l, const char *word, int fd);
/* Sends the commands of a slot, each behind the client that waits for it. */
void offer_commands(struct peer_link *l, unsigned slot);
/* `take` or `gone`. */
void offer_slot(
    struct peer_link *l, const char *word, unsigned slot, bool died);
/* Sends the counters, and the remaining clients of the control socket. */
void offer_last(struct peer_link *l);
/* Ends the records. began_ms, froze_ms: when the upgrade began, and when the
 * workers stopped accepting connections; monotonic. */
void offer_end(struct peer_link *l, uint64_t began_ms, uint64_t froze_ms);

#endif
