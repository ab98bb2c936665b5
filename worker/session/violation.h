/*
 * violation: errors of charge points, as counters and events.
 */
#ifndef WORKER_SESSION_VIOLATION_H
#define WORKER_SESSION_VIOLATION_H

#include "net/conn.h"
#include "writer.h"

/* Makes a protocol.violation event, at most ocpp.violation_rate of them a
 * minute for each connection; the others are only counted (violations_quiet).
 * The caller has counted the violation. kind: a word; detail: a sentence;
 * frame: the received frame, of which ocpp.violation_frame bytes are kept, or
 * NULL. */
void violation_report(struct conn *c, const char *kind, const char *detail,
    const char *frame, size_t len);

/* The same for a refused message about a transaction, whatever the rate. The
 * event contains the whole frame, because the charge point may not send it
 * again; if the journal does not accept that, it is a usual event. */
void violation_report_whole(struct conn *c, const char *kind,
    const char *detail, const char *frame, size_t len);
/* Counts harmless deviations that were accepted. set: of DEVIATION_BIT(). */
void violation_count(const struct conn *c, uint64_t set);
/* The deviations of the connection's identity, for `why`. They are kept in a
 * table of fixed size, in which another identity may have taken the place. */
uint64_t violation_seen(const struct conn *c);
/* Writes the member "deviations" of an event, if there are any. */
void violation_put(struct writer *w, uint64_t set);

#endif
