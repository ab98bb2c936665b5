/*
 * pending_calls: the commands that workers have, until they report `done'.
 *
 * Promise P3 asks for exactly one outcome of each command. The worker that
 * has it publishes the outcome; if it dies first, its successor gets the
 * same body as `settle' and publishes `uncertain', unless the dead one's
 * journal has an outcome already. So the body is kept here.
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
#define PENDING_BYTES (64u << 20) /* of their bodies */

enum pending_result {
    PENDING_OK,
    PENDING_BUSY,      /* the worker does not keep up, nothing was sent */
    PENDING_FULL,      /* too many commands pending, nothing was sent */
    PENDING_DUPLICATE, /* a command of this commandId is pending */
    PENDING_NOBODY     /* every worker failed */
};

/* Where the outcome goes. Exactly one of the two is called, once. */
struct pending_calls_waiter {
    uint64_t
        client; /* id of a control client; 0: the outcome is an event only */
    /* json: the worker's answer about the outcome. */
    void (*done)(uint64_t client, enum outcome outcome, const char *command_id,
        const char *json, size_t len);
    /* The outcome will come as an event only, and why. */
    void (*failed)(uint64_t client, const char *why);
};

/* Sends a command to the owner of conn. timeout_ms 0: ocpp.message_timeout. */
enum pending_result pending_calls_call(
    const struct pending_calls_waiter *waiter, cref conn, uint64_t timeout_ms,
    const char *body, size_t len);

/* Has an outcome published by worker `slot`, now or when it is ready. */
enum pending_result pending_calls_settle(
    const struct pending_calls_waiter *waiter, unsigned slot,
    enum outcome outcome, const char *body, size_t len);

void pending_calls_done(
    uint64_t id, uint64_t outcome, const char *json, size_t len);
/* The worker had the call for a connection that has moved to another one. */
void pending_calls_moved(uint64_t id);
void pending_calls_worker_ready(unsigned slot);
void pending_calls_worker_gone(unsigned slot);
void pending_calls_worker_failed(unsigned slot);
void pending_calls_tick(void);

/* For an upgrade: the commands of a slot in the order of their ids, the first
 * one above; *client is its waiting client or 0. 0 at the end. */
uint64_t pending_calls_next(uint64_t after, unsigned slot, uint64_t *client);
/* Appends one as a record `pending`. It stays here too, so that it is settled
 * if the new program fails. */
void pending_calls_write(uint64_t id, struct buf *out);
/* Back, with the same id; an heir that has the command ends it. */
bool pending_calls_read(
    struct fields *f, const struct pending_calls_waiter *waiter);

unsigned pending_calls_count(void);
bool     pending_calls_has(const char *command_id);
/* Those for one identity, and how long ago the oldest of them began. */
unsigned pending_calls_of(const char *identity, uint64_t *oldest_ms);

#endif
