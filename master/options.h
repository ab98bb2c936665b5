/*
 * options: the arguments of the program (ocppd(8)).
 */
#ifndef MASTER_OPTIONS_H
#define MASTER_OPTIONS_H

#include <stdbool.h>

/* Reads the arguments and the configuration into `master`. Arguments that only
 * print or check something, and wrong ones, end the process. True if the daemon
 * must run in the background. */
bool options_read(int argc, char **argv);

#endif
