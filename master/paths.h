/*
 * paths: the directories of a daemon: of the pid file, the state, the control
 * socket, and the log.
 */
#ifndef MASTER_PATHS_H
#define MASTER_PATHS_H

#include <stdbool.h>

#include "buf.h"
#include "config.h"

/* Makes missing directories, and takes the locks (locks.h). False with a
 * sentence. */
bool paths_take(const struct config *c, struct buf *why);
/* Makes missing directories only, for a new program, which takes the locks of
 * the old one later (locks.h). False with a sentence. */
bool paths_prepare(const struct config *c, struct buf *why);

/* Tests whether paths_take() would succeed. It makes files of a moment and
 * leaves nothing behind. False with a sentence. */
bool paths_test(const struct config *c, struct buf *why);
/* Makes the directory of a log file if it is missing; with make false it is
 * only tested. False with a sentence if the file could not be opened. */
bool paths_log(const char *target, bool make, struct buf *why);

#endif
