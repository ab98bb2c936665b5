/*
 * up: the calls that go up.
 *
 * Within a worker, calls go down the folders. What a lower folder has to
 * report (bytes, answers, ends) comes up through the functions declared here.
 * dispatch.c defines all of them and passes each to the file that handles it.
 * A test that links one folder alone defines the functions it needs.
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

/* Plain bytes of the peer, in any state up to CLOSING. */
void up_bytes(struct conn *c, const uint8_t *p, size_t n);
/* HANDSHAKE: the peer's address is that of a PROXY header. False if it was
 * refused. */
bool up_peer_known(struct conn *c);
/* HANDSHAKE: the bytes below HTTP make the connection impossible. detail: a
 * static sentence, or NULL. */
void up_refused(struct conn *c, enum refuse_reason reason, const char *detail);
/* The connection broke in HANDSHAKE or OPEN; conn_kill() follows. */
void up_broken(struct conn *c, enum close_reason reason);
/* It is about to become DEAD: its state is still the last one. */
void up_gone(struct conn *c);

/* --- ws ------------------------------------------------------------------ */

/* They return true to go on and false to stop: the owner is dead. Bytes are
 * valid during the call only and not NUL-terminated. Frames for the peer may
 * be put into the owner's output meanwhile; the lease must stay. Pings are
 * answered without asking: that bytes came, the caller knows. */

/* A whole message; opcode: FRAME_TEXT or FRAME_BINARY (frame.h). Text is valid
 * UTF-8. The owner refuses a binary message itself: frame_put_close() with
 * 1003, and true, so that the close handshake is awaited. */
bool up_message(void *owner, unsigned opcode, const char *data, size_t len);
bool up_pong(void *owner, const uint8_t *data, size_t len);
/* The peer's close frame: status as sent, or FRAME_STATUS_NONE; the reason is
 * valid UTF-8. The reply is due already; ws_input() answers WS_CLOSED. */
void up_close(void *owner, int status, const char *reason, size_t len);

/* --- journal ------------------------------------------------------------- */

/* Every event of this worker numbered up to this is durable: answers that
 * waited for it may leave. Grows from call to call. */
void up_committed(uint64_t number);

/* --- master_link ---------------------------------------------------------------- */

/* A datagram of the master. */
void up_datagram(const struct channel_msg *m, const char *body);
/* One with a descriptor, which belongs to the function called. */
void up_passed(const struct channel_msg *m, int fd);
/* The master is gone. */
void up_orphaned(void);

/* --- redis --------------------------------------------------------------- */

/* A shard can be used. new_server: another server process than the one before,
 * or the first one, so that what the former acknowledged in its last second
 * may be lost. */
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
/* The call that call_queue_pull() asked for. It ends in call_queue_ended(). */
void up_call_taken(struct conn *c, struct queued_call *q, const char *action,
    const char *payload, size_t len);
/* The platform's answer to a CALL of a charge point. The strings are as they
 * came from Redis, token is NUL-terminated. */
void up_platform_answered(const char *token, const char *payload, size_t len);
/* The end of questions_close(): */
enum question_closed {
    QUESTION_CLOSED_UNREACHED,  /* Redis did not answer */
    QUESTION_CLOSED_UNANSWERED, /* the platform can answer it no more */
    QUESTION_CLOSED_TAKEN,      /* the platform's answer was taken before */
    QUESTION_CLOSED_MOVED       /* the same was asked by another worker since */
};
void up_question_closed(const char *token, enum question_closed how,
    const char *payload, size_t len);
/* Replies to starts_ask() are there. At the end of a turn of the loop. */
void up_starts_replied(void);

/* --- handover ------------------------------------------------------------ */

/* The slot is the successor's: this process ends. good: it has everything that
 * was to be handed over. */
void up_handed_over(bool good) __attribute__((noreturn));

/* --- auth_redis ---------------------------------------------------------- */

/* The answer to auth_redis_ask(). */
void up_auth_answered(struct conn *c, struct auth_redis_answer *a);
/* The new key of auth_redis_offer() is in Redis, or asking failed: the call
 * that carries it can be tried again. */
void up_auth_offered(struct conn *c);

#endif
