/*
 * verify: the ledger held against the journal.
 *
 * What the gateway acknowledged must be in its journal; no transaction id
 * may belong to two starts, no start may have become two transactions.
 */
#ifndef SIM_VERIFY_H
#define SIM_VERIFY_H

/* Exit codes: 0 all is there; 1 a promise was broken; 2 usage. */
int verify_main(int argc, char **argv);

#endif
