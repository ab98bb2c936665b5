/*
 * handover: a slot's connections and all other state of the slot go to another
 * worker process.
 *
 *   master: hand_over --> WAITING --hello of the successor--> SETTLING
 *     --no TLS handshake or rebalance under way--> FROZEN --nothing waits for
 * the journal--> frozen to the master, which sends `go` behind its last
 * datagram --> sent
 *
 * SETTLING accepts no connections but serves those that are there. A TLS
 * handshake to which something was answered cannot be moved, so its end is
 * waited for, unless its client is silent (tls_queue.h). In FROZEN
 * nothing is read any more: what arrives waits in the kernel. Then the journal
 * and the connections to Redis are closed, and lines of text (moving.h) with
 * the descriptors go to the successor; the process ends.
 *
 * Until `go` everything can be taken back: if the successor dies, or the
 * journal does not make the last events durable within two seconds, the worker
 * goes on as before and the master gets `kept` with the reason. With
 * CHANNEL_MUST it does not go back: the connections whose answers still wait
 * after upgrade.patience are closed with 1012.
 *
 * The lines in their order, receiver's in brackets:
 *     [hello] slot ... go  { conn (call | parked)* | gone }*  end
 * or  [hello] keep
 */
#ifndef WORKER_MOVE_HANDOVER_H
#define WORKER_MOVE_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#define HANDOVER_FORMAT 1

/* Takes over fd, the sender's end of a pair; how: enum channel_hand_over. */
void handover_begin(int fd, uint64_t how);
/* The master's last datagram is read. Does not return. */
void handover_go(void);

/* Fingerprint of this worker's segment of shared memory: names and crefs of
 * one mean nothing in another. */
uint64_t handover_segment(void);

#endif
