/*
 * options: the arguments of the program (ocppd(8)).
 */
#ifndef MASTER_OPTIONS_H
#define MASTER_OPTIONS_H

#include <stdbool.h>

/* Reads them, and the configuration, into `master`. Those that only print or
 * check something, and those that are wrong, end the process. Returns whether
 * the daemon is to run in the background. */
bool options_read(int argc, char **argv);

#endif
