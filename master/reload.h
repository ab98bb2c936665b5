/*
 * reload: a new configuration, in two steps.
 *
 * First everything is read and checked; an error changes nothing. Only then
 * it is published: to shared memory for all processes, with a datagram as a
 * hint to look. No connection notices (promise P5).
 */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include <stdbool.h>

#include "buf.h"

/* What happened is logged, remembered for `status`, and told in *out, as
 * lines for people. False: the old configuration stays. */
bool reload(struct buf *out);

#endif
