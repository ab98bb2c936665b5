/*
 * parent: the process that the user has started.
 *
 * It forks the fleet, starts its phases, sums up and shows its counts, and
 * reports the result at the end.
 */
#ifndef SIM_PARENT_H
#define SIM_PARENT_H

#include "options.h"

/* Returns 0 if no answer was wrong or missing, otherwise 1. */
int parent_run(const struct options *o);

#endif
