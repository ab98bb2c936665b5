/*
 * parent: the process the user started.
 *
 * Forks the fleet, starts its phases, adds up and shows its counts, and
 * reports the result at the end.
 */
#ifndef SIM_PARENT_H
#define SIM_PARENT_H

#include "options.h"

/* 0: no wrong and no missing answer; 1 otherwise. */
int parent_run(const struct options *o);

#endif
