/*
 * platform: CALLs that the platform answers ([answers] ACTION = platform).
 *
 * The event of such a CALL carries a replyToken, and as `answer` what the
 * gateway will say if the platform is silent. The platform's answer comes
 * through this worker's inbox (ocppd_answer); the CALL waits for it up to
 * ocpp.message_timeout. Either way one answer leaves, and not before the
 * event is durable.
 */
#ifndef WORKER_SESSION_PLATFORM_H
#define WORKER_SESSION_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "session/deferred.h"
#include "ocpp/ocppj.h"
#include "ocpp/schema.h"

/* Whether the platform is to answer this CALL, and can be asked now. */
bool platform_wants(const struct conn *c, const struct schema_message *m);

/* The token for the next platform_wait(). */
const char *platform_token(void);

/* The event `number` is in the journal: its CALL waits. payload is the
 * fallback; start: of a StartTransaction, else NULL. */
void platform_wait(uint64_t number, struct conn *c, const struct ocppj_frame *f,
    const struct schema_message *m, const char *payload, size_t len,
    const struct deferred_start *start);

/* A StartTransaction that waits already came again: its answer goes to this
 * CALL instead. False if none waits. */
bool platform_again(
    struct conn *c, const struct ocppj_frame *f, const uint64_t fingerprint[2]);

/* From the inbox. */
void platform_answer(const char *token, const char *payload, size_t len);

/* Fallbacks; often. */
void platform_tick(void);

#endif
