/*
 * cp: one charge point that a script controls.
 *
 * The lines on standard input are its actions; the lines on standard output
 * are what it receives. An input line is completed before the next one is
 * read, so a test waits with `await`, and never for a fixed time.
 */
#ifndef SIM_CP_H
#define SIM_CP_H

/* Exit codes: 0 success; 1 the connection was refused, an `await` has not found
 * its text, or an answer was missing at the end; 2 usage. */
int cp_main(int argc, char **argv);

#endif
