/*
 * verify: compares a ledger with a journal.
 *
 * What the gateway has acknowledged must be in its journal. A transaction id
 * may belong to one start only, and a start may have made one transaction
 * only.
 */
#ifndef SIM_VERIFY_H
#define SIM_VERIFY_H

/* Exit codes: 0 everything is there; 1 a promise was broken; 2 usage. */
int verify_main(int argc, char **argv);

#endif
