/*
 * journal_id: a name of the journal that no other gateway's journal has.
 *
 * 16 hexadecimal digits, drawn once for each journal directory and kept in its
 * file `id`. Two gateways may have the same server.node by mistake. Their
 * cursors in Redis contain the id, so that neither loses events, and with
 * [redis] eventIds contain 8 digits of it, so that no two are equal.
 */
#ifndef WORKER_JOURNAL_JOURNAL_ID_H
#define WORKER_JOURNAL_JOURNAL_ID_H

#include <stdbool.h>

/* Reads the id or makes it. The directory must exist. False with errno if that
 * fails; then the id is empty. */
bool journal_id_open(const char *state_dir);

/* The id, "" before journal_id_open() or after its failure; static. */
const char *journal_id(void);

/* The text behind the number in an eventId: the node, with [redis] also the
 * first digits of the id. */
const char *journal_id_of_events(void);

#endif
