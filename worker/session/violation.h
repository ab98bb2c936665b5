/*
 * violation: errors of charge points, as counters and events.
 */
#ifndef WORKER_SESSION_VIOLATION_H
#define WORKER_SESSION_VIOLATION_H

#include "net/conn.h"
#include "writer.h"

/* A violation; the caller has counted it. Makes a protocol.violation event,
 * at most ocpp.violation_rate of them a minute. kind: a word; detail: a
 * sentence; frame: what arrived, may be NULL. */
void violation_report(struct conn *c, const char *kind, const char *detail,
    const char *frame, size_t len);

/* The same for a refused message about a transaction, of which the whole frame
 * is quoted: the charge point may not send it again. */
void violation_report_whole(struct conn *c, const char *kind,
    const char *detail, const char *frame, size_t len);
/* Harmless deviations (set of DEVIATION_BIT) that were let through: counts
 * them. */
void violation_count(const struct conn *c, uint64_t set);
/* Those of the connection's identity, as far as they are remembered: for `why`.
 * A table of fixed size has them, where the next identity with the same place
 * replaces the one before. */
uint64_t violation_seen(const struct conn *c);
/* Member "deviations" of an event, if there are any. */
void violation_put(struct writer *w, uint64_t set);

#endif
