/*
 * parent: the process the user started.
 *
 * Forks the fleet, tells its phases, adds up what it counted, shows it, and
 * says at the end whether all was well.
 */
#ifndef SIM_PARENT_H
#define SIM_PARENT_H

#include "options.h"

/* 0: no wrong and no missing answer; 1 otherwise. */
int parent_run(const struct options *o);

#endif
