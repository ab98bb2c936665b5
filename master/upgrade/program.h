/*
 * program: runs another program, to check it or as the next master.
 */
#ifndef MASTER_UPGRADE_PROGRAM_H
#define MASTER_UPGRADE_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "buf.h"

/* Name of the environment variable with the number of the socket through which
 * the new master takes over. */
#define PROGRAM_VARIABLE "OCPPD_UPGRADE"

/* The exit code of a program that could not be executed. */
#define PROGRAM_NOT_EXECUTED 126

/* Runs argv (argv[0] is a path) with its standard output and error in `text`,
 * as far as it fits, for at most ms; then done is called once. code: of its
 * exit, -1 if it did not exit by itself; text has the reason then. One at a
 * time. */
void program_run(
    char *const argv[], unsigned ms, void (*done)(int code, struct buf *text));
/* Kills what program_run() has started; done is not called any more. */
void program_stop(void);

/* Starts argv as the next master, which inherits `end` beside standard input,
 * output and error. -1 with errno. */
pid_t program_start(char *const argv[], int end);

#endif
