/*
 * succession: a running worker is replaced, and its connections stay.
 *
 * `worker-restart` starts a second process for the slot, the heir, beside the
 * one that serves it. Both get an end of a socket pair. The worker freezes its
 * state and reports `frozen'; the master answers `go' and from this instant
 * counts the heir as the slot's process (supervise_replace()) and the worker
 * as the former one. The former process writes its connections to the heir
 * and ends; it is killed if that takes too long.
 * Before `go' an error of the hand-over costs only the heir: it is killed, and
 * the worker goes on. After `go' there is no way back: if the heir dies, the
 * former process is killed too, and the slot starts afresh.
 */
#ifndef MASTER_WORKERS_SUCCESSION_H
#define MASTER_WORKERS_SUCCESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

/* Starts an heir of the slot's worker, which is ready, and orders the worker
 * to hand over. False with a sentence. */
bool succession_start(unsigned slot, struct buf *why);

/* The worker has prepared its hand-over, or has given it up. */
void succession_frozen(unsigned slot);
void succession_kept(unsigned slot, const char *why);

#endif
