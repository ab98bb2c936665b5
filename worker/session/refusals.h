/*
 * refusals: what is kept of a refused handshake.
 *
 * Each one is counted by reason, kept in shared memory for `ocppctl refused`
 * and `show`, noted in the registry entry of its identity if there is one,
 * and logged. Equal ones share one record, an address has a quarter of the
 * records at most, and clients that sent nothing have records of their own:
 * one client cannot hide the refusals of others. The log has a line for a new
 * record, and for one that goes on for a minute; all lines together have a
 * rate.
 */
#ifndef WORKER_SESSION_REFUSALS_H
#define WORKER_SESSION_REFUSALS_H

#include "net/conn.h"
#include "net/http.h"

struct refusal {
    enum refuse_reason         reason;
    const char                *name; /* the identity, "" if it is not known */
    size_t                     len;
    const char                *detail;  /* printable, or NULL */
    const struct http_request *request; /* what is known of it, or NULL */
};

/* h: of the connection, or of one that could not be made. */
void refusals_add(const struct conn_handshake *h, const struct refusal *r);

/* Once a second: the limits that were reached, once a minute. */
void refusals_tick(void);

#endif
