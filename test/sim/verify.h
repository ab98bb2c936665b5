/*
 * verify: compares a ledger with a journal.
 *
 * Every message that the gateway has acknowledged must be in its journal. Each
 * transaction id must belong to one StartTransaction, and each StartTransaction
 * must have one transaction.
 */
#ifndef SIM_VERIFY_H
#define SIM_VERIFY_H

/* Exit codes: 0 nothing is missing; 1 a promise was broken; 2 usage. */
int verify_main(int argc, char **argv);

#endif
