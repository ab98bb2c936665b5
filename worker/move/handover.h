/*
 * handover: passes a slot's connections and all other state of the slot to
 * another worker process.
 *
 *   master: hand_over
 *     --> WAITING --hello of the successor--> SETTLING
 *     --no TLS handshake or rebalance in progress--> FROZEN
 *     --nothing waits for the journal--> `frozen` to the master,
 *         which sends `go` after its last datagram --> sent
 *
 * In SETTLING no connections are accepted, and the open ones are served. A TLS
 * handshake that was answered cannot be moved, so its end is awaited, unless
 * its client is silent (tls_queue.h). In FROZEN no connection is read: arriving
 * bytes wait in the kernel. Then the journal and the connections to Redis are
 * closed, lines of text (moving.h) and the descriptors are sent to the
 * successor, and the process ends.
 *
 * Until `go` the hand-over can be given up: if the successor dies, or the
 * journal does not make the last events durable within two seconds, the worker
 * continues as before and sends `kept` with the reason to the master. With
 * CHANNEL_MUST it does not give up: connections whose answers still wait after
 * upgrade.patience are closed with 1012.
 *
 * The lines in order; those of the receiver in brackets:
 *     [hello] slot ... go  { conn (call | parked)* | gone }*  end
 * or  [hello] keep
 */
#ifndef WORKER_MOVE_HANDOVER_H
#define WORKER_MOVE_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#define HANDOVER_FORMAT 1

/* Begins a hand-over. Takes over fd, the sender's end of a pair. how: bits of
   enum channel_hand_over. */
void handover_begin(int fd, uint64_t how);
/* Called when the master's last datagram was read. Does not return. */
void handover_go(void);

/* Identifies this worker's segment of shared memory: indexes and crefs of one
 * segment are not valid in another. */
uint64_t handover_segment(void);

#endif
