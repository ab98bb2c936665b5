/*
 * paths: the files and directories a daemon takes for itself: pid file,
 * state directory, the directory of the control socket.
 */
#ifndef MASTER_PATHS_H
#define MASTER_PATHS_H

#include <stdbool.h>

#include "buf.h"
#include "config.h"

/* Makes what is missing, locks the pid file. False with a sentence. */
bool paths_take(const struct config *c, struct buf *why);
/* Would they do? Changes nothing. */
bool paths_test(const struct config *c, struct buf *why);
/* Removes the pid file. */
void paths_leave(void);

#endif
