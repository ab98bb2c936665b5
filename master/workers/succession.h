/*
 * succession: replaces a running worker without closing its connections.
 *
 * `worker-restart` starts a second process for the slot, the heir, beside the
 * one that serves it. Both get an end of a socket pair. The worker freezes its
 * state and reports `frozen'. The master answers `go'; from then on the heir is
 * the slot's process (supervise_replace()), and the worker is the former one.
 * The former process writes its connections to the heir and ends; it is killed
 * if that takes too long. If an error occurs before `go', only the heir is
 * killed, and the worker continues. After `go' the hand-over cannot be given
 * up: if the heir dies, the former process is killed too, and the slot gets a
 * new process.
 */
#ifndef MASTER_WORKERS_SUCCESSION_H
#define MASTER_WORKERS_SUCCESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

/* Starts an heir of the slot's worker, which is ready, and orders the worker
 * to hand over. False with a sentence. */
bool succession_start(unsigned slot, struct buf *why);

/* Called when the worker has prepared its hand-over, or has given it up. */
void succession_frozen(unsigned slot);
void succession_kept(unsigned slot, const char *why);

#endif
