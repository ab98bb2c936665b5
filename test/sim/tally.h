/*
 * tally: the counts of the fleet, and the names under which they are printed.
 *
 * Each count is declared once, in the tables below; the struct, the sums and
 * both reports are made from them. Each process of the fleet has one tally in
 * a shared mapping and is the only one that writes to it. The parent may read
 * all of them at any time, so every cell is a relaxed atomic.
 */
#ifndef SIM_TALLY_H
#define SIM_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "histogram.h"

/* Counts of events. */
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

/* Counts of errors: the run fails if one of them is not 0. */
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

/* Numbers of the present state. */
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
    struct histogram latency; /* of a CALL, from when it was due */
    struct histogram connect; /* from connect() to the response 101 */
    struct histogram lag;     /* from when a CALL was due to when it was sent */

    /* The progress of the process; the process writes, the parent reads. */
    _Atomic bool ramped;  /* every charge point has tried to connect */
    _Atomic bool done;    /* every charge point has sent its --messages */
    _Atomic bool drained; /* no CALL is unanswered */
};

/* There is only one writer, so a load and a store are an addition. */
#define tally_add(t, field, n)                                                 \
    atomic_store_explicit(&(t)->field,                                         \
        atomic_load_explicit(&(t)->field, memory_order_relaxed) +              \
            (uint64_t)(n),                                                     \
        memory_order_relaxed)
#define tally_get(t, field)                                                    \
    atomic_load_explicit(&(t)->field, memory_order_relaxed)
#define tally_set(t, field, n)                                                 \
    atomic_store_explicit(&(t)->field, (uint64_t)(n), memory_order_relaxed)

/* Adds `from` to `into`, except for the flags. */
void     tally_merge(struct tally *into, const struct tally *from);
uint64_t tally_errors(const struct tally *t);

/* Measurements of the parent. */
struct tally_run {
    uint64_t seed;
    unsigned processes;
    double   ramp_s;   /* until every charge point had tried to connect */
    double   run_s;    /* from then on until the end of the load */
    uint64_t run_sent; /* CALLs sent and answered in that time */
    uint64_t run_answered;
    double   cpu_s;  /* of all processes, for the whole run */
    bool txids_full; /* the set of transaction ids was full, so some were not
                        compared */
};

void tally_text(
    struct buf *out, const struct tally *t, const struct tally_run *run);
void tally_json(
    struct buf *out, const struct tally *t, const struct tally_run *run);

#endif
