/*
 * quiet: tests whether a connection is idle in all its parts (promise P6).
 *
 * A quiet connection is fully described by its struct conn, its registry entry,
 * its socket, and under TLS its record state: nothing is half received, half
 * sent, awaited or deferred. Each owner of state tests its part; a connection
 * is quiet if all parts are.
 */
#ifndef WORKER_SESSION_QUIET_H
#define WORKER_SESSION_QUIET_H

#include "net/conn.h"

/* The owner whose part is not quiet, as a word for the operator: "net",
 * "access", "fleet" or "session"; NULL if the connection is quiet. */
const char *conn_busy_part(const struct conn *c);

#endif
