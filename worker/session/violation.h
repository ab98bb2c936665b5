/*
 * fault: what a charge point got wrong, and who hears of it.
 */
#ifndef WORKER_FAULT_H
#define WORKER_FAULT_H

#include "net/conn.h"
#include "writer.h"

/* A violation; the caller has counted it. Makes a protocol.violation event,
 * at most ocpp.violation_rate of them a minute. kind: a word; detail: a
 * sentence; frame: what arrived, may be NULL. */
void fault_violation(struct conn *c, const char *kind, const char *detail,
    const char *frame, size_t len);

/* Harmless deviations (set of DEVIATION_BIT) that were let through: counts
 * them. */
void fault_count(uint64_t set);
/* Member "deviations" of an event, if there are any. */
void fault_put(struct writer *w, uint64_t set);

#endif
