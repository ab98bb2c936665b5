/*
 * refusals: records of refused handshakes.
 *
 * Each refusal is counted by reason, kept in shared memory for `ocppctl
 * refused` and `show`, noted in the registry entry of its identity if there is
 * one, and logged. One client cannot hide the refusals of others: equal
 * refusals share one record, an address has at most a quarter of the records,
 * and clients that sent nothing have separate records. A line is logged for a
 * new record, and for refusals that continue for a minute; the rate of all
 * lines is limited.
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
    const struct http_request *request; /* the request, as far as it was read;
                                           or NULL */
};

/* Records a refusal. h: that of the connection, or of one that could not be
 * made. status: of HTTP, as sent; 0: that of the reason. */
void refusals_add(
    const struct conn_handshake *h, const struct refusal *r, int status);

/* Called once a second: logs the limits that were reached, each once a
   minute. */
void refusals_tick(void);

#endif
