/*
 * tally: the counts of the fleet, and the words that they are printed with.
 *
 * Every figure stands once, in the tables below; the struct, the summing
 * and both reports are made from them. Each process of the fleet has one
 * tally in a shared mapping and is its only writer; the parent reads all of
 * them at any time, so every cell is a relaxed atomic.
 */
#ifndef SIM_TALLY_H
#define SIM_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "histogram.h"

/* What happened. */
#define TALLY_COUNTS(X)                                                        \
    X(attempts, "connections attempted")                                       \
    X(opened, "connections opened")                                            \
    X(refused, "handshakes answered with something else than 101")             \
    X(connect_failed, "connections that failed before the handshake")          \
    X(closed_by_server, "connections closed by the server")                    \
    X(replaced, "of these, closed with 1008")                                  \
    X(lost, "connections that ended without a close frame")                    \
    X(reconnects, "connections opened again")                                  \
    X(sent, "CALLs sent")                                                      \
    X(acknowledged, "CALLs answered with the right CALLRESULT")                \
    X(heartbeats, "of these, Heartbeat")                                       \
    X(boots, "of these, BootNotification")                                     \
    X(statuses, "of these, StatusNotification or NotifyEvent")                 \
    X(meter_values, "of these, MeterValues or updates of transactions")        \
    X(starts, "of these, starts of transactions")                              \
    X(stops, "of these, ends of transactions")                                 \
    X(authorizations, "of these, Authorize")                                   \
    X(others, "of these, other notifications")                                 \
    X(interrupted, "CALLs whose connection ended before the answer")           \
    X(resent, "transaction messages sent again")                               \
    X(late, "answers that came after their CALL had timed out")                \
    X(unsent, "messages due by the rate that could not be sent in time")       \
    X(commands, "CALLs from the central system")                               \
    X(commands_done, "of these, answered with a CALLRESULT")                   \
    X(commands_ignored, "of these, left unanswered as asked for")              \
    X(pings, "pings received")                                                 \
    X(pongs, "pongs received")                                                 \
    X(energy_wh, "energy of the sessions that were stopped, Wh")               \
    X(garbage, "malformed frames sent on purpose")                             \
    X(garbage_answered, "answers to these")                                    \
    X(half_opened, "connections left silent while a new one was made")         \
    X(flapped, "connections dropped on purpose")                               \
    X(bytes_in, "bytes received")                                              \
    X(bytes_out, "bytes sent")                                                 \
    X(ledgered, "lines written to the ledger")

/* What must not happen: any of these makes the run a failure. */
#define TALLY_ERRORS(X)                                                        \
    X(missing, "CALLs without an answer within the message timeout")           \
    X(wrong_id, "answers to a message id that was not asked")                  \
    X(wrong_shape, "answers without what the specification demands")           \
    X(call_error, "CALLs answered with a CALLERROR")                           \
    X(twin_transaction, "transaction ids given to two different starts")       \
    X(bad_frame, "frames that break WebSocket or OCPP-J")                      \
    X(bad_handshake, "handshakes that break the rules, or lack the version")   \
    X(undelivered, "transaction messages never acknowledged")                  \
    X(unreached, "charge points that never got a connection")                  \
    X(trouble, "errors of the simulator itself: see standard error")

/* What is so right now. */
#define TALLY_GAUGES(X)                                                        \
    X(points, "charge points")                                                 \
    X(connected, "connected now")                                              \
    X(connecting, "connecting now")                                            \
    X(charging, "sessions now")                                                \
    X(memory, "private memory of the processes, bytes")                        \
    X(storm_us, "last reconnection of the storm, microseconds after it")

struct tally {
#define FIELD(name, text) _Atomic uint64_t name;
    TALLY_COUNTS(FIELD)
    TALLY_ERRORS(FIELD)
    TALLY_GAUGES(FIELD)
#undef FIELD
    struct histogram latency; /* CALL, from when it was meant to be sent */
    struct histogram connect; /* from connect() to 101 */
    struct histogram lag;     /* from meant to be sent to really sent */

    /* How far the process is; written by it, read by the parent. */
    _Atomic bool ramped;  /* every point tried its first connection */
    _Atomic bool done;    /* every point sent its --messages */
    _Atomic bool drained; /* nothing is unanswered */
};

/* One writer: a load and a store make an addition. */
#define tally_add(t, field, n)                                                 \
    atomic_store_explicit(&(t)->field,                                         \
        atomic_load_explicit(&(t)->field, memory_order_relaxed) +              \
            (uint64_t)(n),                                                     \
        memory_order_relaxed)
#define tally_get(t, field)                                                    \
    atomic_load_explicit(&(t)->field, memory_order_relaxed)
#define tally_set(t, field, n)                                                 \
    atomic_store_explicit(&(t)->field, (uint64_t)(n), memory_order_relaxed)

/* into += from, all but the flags. */
void     tally_merge(struct tally *into, const struct tally *from);
uint64_t tally_errors(const struct tally *t);

/* What the parent adds. */
struct tally_run {
    uint64_t seed;
    unsigned processes;
    double   ramp_s;   /* until every point had tried */
    double   run_s;    /* from then to the end of the load */
    uint64_t run_sent; /* CALLs sent and answered in that time */
    uint64_t run_answered;
    double   cpu_s;      /* of all processes, whole run */
    bool     txids_full; /* not every transaction id could be compared */
};

void tally_text(
    struct buf *out, const struct tally *t, const struct tally_run *run);
void tally_json(
    struct buf *out, const struct tally *t, const struct tally_run *run);

#endif
