/*
 * check: tests whether an upgrade can begin.
 */
#ifndef MASTER_UPGRADE_CHECK_H
#define MASTER_UPGRADE_CHECK_H

#include <stdbool.h>

#include "buf.h"

/* True if this daemon is in a state that can be handed over; otherwise false
 * with a sentence. */
bool check_daemon(struct buf *why);

/* Runs the program argv[0] twice, each time for at most ms: it must read the
 * format that this one writes (-x upgrade), and accept the configuration (argv
 * and -t). Then done is called: with NULL, or with the reason against it. argv
 * has room for one more word; program_stop() ends it. */
void check_program(char *argv[], unsigned ms, void (*done)(const char *why));

#endif
