/*
 * pending_calls: the commands without an outcome, until a worker reports
 * `done'.
 *
 * Promise P3 demands exactly one outcome of each command. The worker that has
 * the command publishes the outcome. If this worker dies first, its successor
 * gets the same body as `settle' and publishes `uncertain', unless the journal
 * of the dead worker has an outcome already. So the body is kept here.
 *
 *   body: commandId, identity, action, payload, and "unchecked" or nothing,
 * each ended by NUL
 */
#ifndef MASTER_CONTROL_PENDING_CALLS_H
#define MASTER_CONTROL_PENDING_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "fields.h"
#include "stats.h"

#define PENDING_MAX 4096          /* commands */
#define PENDING_BYTES (64u << 20) /* bytes of their bodies */

enum pending_result {
    PENDING_OK,
    PENDING_BUSY,      /* the worker does not keep up; the command was not
                          sent */
    PENDING_NO_MEMORY, /* the command was not sent */
    PENDING_FULL,      /* too many commands are pending; the command was not
                          sent */
    PENDING_DUPLICATE, /* a command with this commandId is pending */
    PENDING_NOBODY     /* every worker failed */
};

/* The receiver of the outcome. Exactly one of the two functions is called,
   once. */
struct pending_calls_waiter {
    uint64_t
        client; /* id of a control client; 0: the outcome is an event only */
    /* The command has an outcome. json: the worker's report. */
    void (*done)(uint64_t client, enum outcome outcome, const char *command_id,
        const char *json, size_t len);
    /* The outcome will be published as an event only; why: the reason. */
    void (*failed)(uint64_t client, const char *why);
};

/* Sends a command to the owner of conn. timeout_ms 0: ocpp.message_timeout. */
enum pending_result pending_calls_call(
    const struct pending_calls_waiter *waiter, cref conn, uint64_t timeout_ms,
    const char *body, size_t len);

/* Makes worker `slot` publish an outcome, now or when the worker is ready.
 * Returns PENDING_OK or the reason why it was not accepted. */
enum pending_result pending_calls_settle(
    const struct pending_calls_waiter *waiter, unsigned slot,
    enum outcome outcome, const char *body, size_t len);

/* Called when a worker has reported the outcome of a command. */
void pending_calls_done(
    uint64_t id, uint64_t outcome, const char *json, size_t len);
/* Called when a worker has found the outcome of a command in the journal. body:
 * the command's id, NUL, and the JSON of its outcome. */
void pending_calls_recovered(uint64_t outcome, const char *body, size_t len);
/* Called when a worker has received a call for a connection that has moved to
   another worker. */
void pending_calls_moved(uint64_t id);
/* Called when a slot's worker is ready, has died, or will have no successor,
   and once a second. */
void pending_calls_worker_ready(unsigned slot);
void pending_calls_worker_gone(unsigned slot);
void pending_calls_worker_failed(unsigned slot);
void pending_calls_tick(void);

/* For an upgrade: iterates over the commands of a slot in the order of their
 * ids. Returns the first id above `after`, 0 at the end. *client is the waiting
 * client, or 0. */
uint64_t pending_calls_next(uint64_t after, unsigned slot, uint64_t *client);
/* Appends a command as a record `pending`. It also stays here, so that it is
 * settled if the new program fails. */
void pending_calls_write(uint64_t id, struct buf *out);
/* Reads such a record; the command keeps its id, and the heir that has the
 * command ends it. False if the record is malformed or there is no memory. */
bool pending_calls_read(
    struct fields *f, const struct pending_calls_waiter *waiter);

/* The number of commands without an outcome; true if this command is one. */
unsigned pending_calls_count(void);
bool     pending_calls_has(const char *command_id);
/* The number of commands for an identity, and the age of the oldest one in ms;
   0 if there is none. */
unsigned pending_calls_of(const char *identity, uint64_t *oldest_ms);

#endif
