/*
 * ledger: a file of the messages that the gateway has acknowledged.
 *
 * It has one JSON line for each acknowledged CALL that makes an event. A line
 * is written before its acknowledgement is counted: the lines of one turn of
 * the loop are collected, then ledger_commit() writes them and counts them.
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
/* transaction: the id in the answer to a StartTransaction, or 0. */
void ledger_note(const char *identity, enum message m, const char *message_id,
    const char *payload, size_t n, int32_t transaction);
/* Counts m as acknowledged: at once, or with the lines that precede it. */
void ledger_count(enum message m);
/* Writes the collected lines. False, with errno, if the ledger cannot be
 * written. */
bool ledger_commit(void);

#endif
