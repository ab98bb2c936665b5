/*
 * up: the calls that go up.
 *
 * Within a worker, calls go down the folders. A lower folder reports events
 * (bytes, answers, ends) by calling the functions declared here. dispatch.c
 * defines all of them and passes each to the file that handles it. A test that
 * links one folder alone defines the functions it needs.
 */
#ifndef WORKER_BASE_UP_H
#define WORKER_BASE_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "close.h"

struct conn;
struct auth_redis_answer;
struct queued_call;

/* --- conn ---------------------------------------------------------------- */

/* Plain bytes of the peer came, in any state up to CLOSING. */
void up_bytes(struct conn *c, const uint8_t *p, size_t n);
/* HANDSHAKE: a PROXY header has named the peer's address. False if the
 * connection was refused. */
bool up_peer_known(struct conn *c);
/* HANDSHAKE: the PROXY header or TLS is faulty, so the connection must be
 * refused. detail: a static sentence, or NULL. */
void up_refused(struct conn *c, enum refuse_reason reason, const char *detail);
/* The connection broke in HANDSHAKE or OPEN; conn_kill() follows. */
void up_broken(struct conn *c, enum close_reason reason);
/* The connection will become DEAD; its state is still the last one. */
void up_gone(struct conn *c);

/* --- ws ------------------------------------------------------------------ */

/* These return true to continue, and false to stop because the owner is dead.
 * Bytes are valid only during the call, and not NUL-terminated. During the
 * call, frames may be put into the owner's output, but the lease must not be
 * returned. There is no up-call for pings, which ws.c answers. */

/* A whole message came. opcode: FRAME_TEXT or FRAME_BINARY (frame.h). Text is
 * valid UTF-8. The owner refuses a binary message by frame_put_close() with
 * 1003, and returns true, so that the close handshake is awaited. */
bool up_message(void *owner, unsigned opcode, const char *data, size_t len);
/* Called before up_message() for a compressed message, which has len bytes now.
 */
void up_inflated(void *owner, size_t len);
bool up_pong(void *owner, const uint8_t *data, size_t len);
/* The peer's close frame came. status: as sent, or FRAME_STATUS_NONE; the
 * reason is valid UTF-8. The reply is due already, and ws_input() will return
 * WS_CLOSED. */
void up_close(void *owner, int status, const char *reason, size_t len);

/* --- journal ------------------------------------------------------------- */

/* All events of this worker up to this number are durable, so their answers may
 * be sent. The number grows from call to call. */
void up_committed(uint64_t number);

/* --- master_link ---------------------------------------------------------------- */

/* A datagram of the master came. */
void up_datagram(const struct channel_msg *m, const char *body);
/* A datagram with a descriptor came; the function takes the descriptor over. */
void up_passed(const struct channel_msg *m, int fd);
/* The master has ended. */
void up_orphaned(void);

/* --- redis --------------------------------------------------------------- */

/* A shard can be used. new_server: it is another server process than before, or
 * the first one, so that the last second of acknowledged writes may be lost. */
void up_redis_ready(unsigned shard, bool new_server);
/* A shard cannot be used any more. Called before the requests without an
 * answer get NULL. */
void up_redis_lost(unsigned shard);
/* The connection that may block is ready for a blocking read. */
void up_redis_listen(void);

/* --- claims, call_queue, inbox ------------------------------------------- */

/* The identity has a newer connection on another gateway. */
void up_replaced(struct conn *c);
/* Calls wait in the queue in Redis for this open connection. The session
 * takes the next one with call_queue_pull() when it can be sent at once. */
void up_calls_wait(struct conn *c);
/* The call that call_queue_pull() has requested. It ends with
   call_queue_ended(). */
void up_call_taken(struct conn *c, struct queued_call *q, const char *action,
    const char *payload, size_t len);
/* The platform has answered a CALL of a charge point. The strings are as they
 * came from Redis; token is NUL-terminated. */
void up_platform_answered(const char *token, const char *payload, size_t len);
/* The result of questions_close(). MOVED also comes without a request. */
enum question_closed {
    QUESTION_CLOSED_UNREACHED,  /* Redis did not answer */
    QUESTION_CLOSED_UNANSWERED, /* closed: the platform cannot answer it any
                                   more */
    QUESTION_CLOSED_TAKEN,      /* the platform's answer had come before */
    QUESTION_CLOSED_MOVED       /* another worker has asked the same question
                                   since, or has answered it */
};
void up_question_closed(const char *token, enum question_closed how,
    const char *payload, size_t len);
/* Replies to starts_ask() have come. Called at the end of a turn of the
   loop. */
void up_starts_replied(void);

/* --- handover ------------------------------------------------------------ */

/* The successor has the slot, and this process must end. good: everything was
 * handed over. */
void up_handed_over(bool good) __attribute__((noreturn));

/* --- auth_redis ---------------------------------------------------------- */

/* The answer to auth_redis_ask() has come. */
void up_auth_answered(struct conn *c, struct auth_redis_answer *a);
/* The new key of auth_redis_offer() is in Redis, or the request has failed: the
 * call with the key can be tried again. */
void up_auth_offered(struct conn *c);

#endif
