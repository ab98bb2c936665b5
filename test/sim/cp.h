/*
 * cp: one charge point under the hand of a script.
 *
 * Lines on standard input are what it does, lines on standard output are
 * what it sees. Each input line is done before the next one is looked at,
 * so a test waits with `await` and never sleeps.
 */
#ifndef SIM_CP_H
#define SIM_CP_H

/* Exit codes: 0 all went well; 1 refused, or an await came to nothing, or
 * an answer was missing at the end; 2 usage. */
int cp_main(int argc, char **argv);

#endif
