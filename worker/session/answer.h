/*
 * answer: one answer to a CALL, from its payload to its event.
 *
 * answers.h decides how a CALL is answered, and asking.h brings the platform's
 * answers. Both use these functions: for the payload of an answer, the
 * platform's verdict on the token of the CALL, the other effects of the answer,
 * and the event with which it becomes durable and is sent (promise P1).
 */
#ifndef WORKER_SESSION_ANSWER_H
#define WORKER_SESSION_ANSWER_H

#include "fleet/starts.h"
#include "net/conn.h"
#include "ocpp/dialect.h"
#include "ocpp/event_kind.h"
#include "ocpp/ocppj.h"
#include "session/deferred.h"
#include "session/publish.h"

/* The state of answering one CALL. */
struct answer {
    struct conn                 *c; /* NULL: its connection has ended */
    struct publish_subject       subject;
    uint32_t                     entry;
    uint8_t                      protocol;
    const struct ocppj_frame    *f;
    const struct json           *tape;
    const struct schema_message *m;
    enum event_kind              kind;
    uint64_t                     deviations;
    uint64_t                     since_us; /* self.now_us when the CALL came */
    const char                  *by;       /* answeredBy */
    uint64_t                     after; /* COMMITTED: the number of the event,
                                           if it was made already; ASKED: that
                                           of the question */
    bool about_token;                   /* ASK: the question is only about the
                                           token */
    const char *token;                  /* reply token of the question, if
                                           asked */
    uint64_t          resolved_ms;      /* transactions_find() */
    struct ocppj_span token_info;       /* the platform's verdict: a JSON
                                           object */
    bool                   no_token_info;
    struct deferred_effect effect;
};

/* The payload of the answer that is being made, and the frame around it. One
 * answer is made at a time. */
extern struct buf answer_payload;
extern struct buf answer_frame;

/* Copies a payload into answer_payload, whose overflow is set if that failed.
 */
void answer_set_payload(const char *text, size_t len);
/* Sets the payload to the remembered answer of a message. */
void answer_set_remembered(struct answer *a, const char *text, size_t len);

/* The transaction id in the payload of an answer. */
int32_t answer_transaction(const char *text, size_t len);

/* Cuts a frame that was kept into its parts. The caller gives the tape back
 * with tape_return(). */
struct json *answer_cut(
    unsigned protocol, const char *text, size_t len, struct ocppj_frame *f);

/* starts_look() for the message; an answer of another gateway is checked. */
enum starts_found answer_look_up(const struct answer *a,
    const uint64_t fingerprint[2], struct starts_reply *reply);

/* The verdict on a token in the platform's answer, {NULL, 0} if there is
 * none. */
struct ocppj_span answer_token_info(const char *text, size_t len);
/* Remembers that verdict for the CALL's token. */
void answer_note_verdict(const struct answer *a, const char *text, size_t len);
/* Sets a->token_info to the platform's last verdict on the CALL's token. False
 * if there is none that still holds. */
bool answer_find_verdict(struct answer *a);

/* True if the settings demand that the platform is asked about tokens. */
bool answer_asks_about_tokens(const struct answer *a);

/* The answer is not reserved in Redis, so another gateway may answer the same
 * message otherwise: marks its event (start_unchecked), and counts that. */
void answer_mark_unchecked(struct answer *a);

/* Finds the other effects of the answer in answer_payload: an accepted boot, a
   stopped transaction. */
void answer_find_effect(struct answer *a);

/* False if a payload of that many bytes would close the connection, because it
 * does not fit into websocket.max_output_size. */
bool answer_can_be_sent(size_t len);

/* False if the gateway's own answer would be too long, because it repeats parts
 * of the message. To be called before anything else is done for the answer. */
bool answer_fits(struct answer *a);

/* Writes the payload of the gateway's own answer. False if there is no
 * transaction id now. */
bool answer_alone(struct answer *a);

/* True for messages that a charge point sends again until they are answered,
 * and finally drops: without an answer its attempts are used up. */
bool answer_is_urgent(const struct answer *a);

/* Publishes the event of the answer in answer_payload. The answer is sent when
 * the event is durable. False if the journal does not accept the event. */
bool answer_commit(struct answer *a);

#endif
