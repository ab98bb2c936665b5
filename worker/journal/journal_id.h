/*
 * journal_id: the name that no journal of another gateway has.
 *
 * 16 hexadecimal digits, drawn once for each journal directory and kept in its
 * file `id`. Two gateways may have one server.node by mistake. Their cursors in
 * Redis carry the id, so that each loses nothing, and with [redis] the
 * eventIds carry 8 digits of it, so that no two are equal.
 */
#ifndef WORKER_JOURNAL_JOURNAL_ID_H
#define WORKER_JOURNAL_JOURNAL_ID_H

#include <stdbool.h>

/* Reads or makes it; the directory is there. False with errno if that is not
 * possible: then the id is empty. */
bool journal_id_open(const char *state_dir);

/* The id, "" before journal_id_open() or after its failure; static. */
const char *journal_id(void);

/* What stands behind the number in an eventId: the node, with [redis] also the
 * id's first digits. */
const char *journal_id_of_events(void);

#endif
