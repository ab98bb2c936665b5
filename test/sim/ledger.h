/*
 * ledger: what the gateway has acknowledged, on paper.
 *
 * One JSON line for each acknowledged CALL that makes an event. A line is
 * written before its acknowledgement is counted: lines gather during one
 * turn of the loop and ledger_commit() writes them and then counts.
 * Each process writes its own file; `ocppsim verify` reads them together.
 */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"

bool ledger_open(const char *file, unsigned process);
bool ledger_wanted(void);
/* transaction: the id a StartTransaction was given, or 0. */
void ledger_note(const char *identity, enum message m, const char *message_id,
    const char *payload, size_t n, int32_t transaction);
/* Counts m as acknowledged: now, or with the lines before it. */
void ledger_count(enum message m);
/* False: the ledger cannot be written; errno is set. */
bool ledger_commit(void);

#endif
