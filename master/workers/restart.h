/*
 * restart: replaces a worker, or starts a failed one again, at an operator's
 * request (`worker-restart`).
 */
#ifndef MASTER_WORKERS_RESTART_H
#define MASTER_WORKERS_RESTART_H

#include <stdbool.h>

#include "buf.h"

/* Starts a successor that takes over the connections of a worker, or starts a
 * failed worker again. False with a sentence. */
bool restart_worker(unsigned slot, struct buf *why);

#endif
