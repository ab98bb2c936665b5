/*
 * deferred: answers and outcomes that are sent when an event is durable
 * (promise P1).
 *
 * A list in the order of event numbers: answers for charge points, and outcomes
 * of calls for the master. The answer to a repeated CALL has the number of the
 * first event, and may be in the list behind higher numbers; it is sent
 * together with these. deferred_release() sends them. If the connection
 * has ended by then, the answer is dropped, because its event is in the journal
 * and the charge point sends its CALL again.
 */
#ifndef WORKER_SESSION_DEFERRED_H
#define WORKER_SESSION_DEFERRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "registry_starts.h"

/* The other effects of an answer, when it is sent. */
struct deferred_effect {
    enum {
        DEFERRED_NOTHING,
        DEFERRED_STOP, /* forget the start with the transaction id */
        DEFERRED_BOOT  /* the boot was answered */
    } what;
    bool remember; /* the message becomes KNOWN in the
                      registry */
    enum registry_start_kind kind;
    uint64_t                 fingerprint[2];
    int32_t                  transaction; /* remember, STOP */
    unsigned                 boot;        /* BOOT: enum boot */
};

struct deferred {
    struct deferred *next;
    uint64_t         number;   /* of the event */
    uint64_t         since_us; /* self.now_us when the CALL arrived */
    /* For an answer: */
    cref                   conn; /* 0: the connection ended before */
    bool                   answer;
    bool                   urgent; /* the answer is to a transaction message */
    uint32_t               entry;
    uint64_t               generation;
    uint32_t               payload_len; /* bytes of the answer's payload */
    struct deferred_effect effect;
    /* For the outcome of a call: */
    uint64_t request;
    unsigned outcome;
    /* The frame of the answer, or the JSON of the outcome: */
    uint32_t len;
    char     text[];
};

/* The payload of an answer's CALLRESULT, of d->payload_len bytes; points into
 * d. */
const char *deferred_payload(const struct deferred *d);

/*
 * Adds an answer that is sent when event `number` is durable: a frame whose
 * payload has payload_len bytes. c may be NULL; then only the effect takes
 * place. since_us: self.now_us when the CALL arrived. urgent: the answer is to
 * a transaction message, see deferred_late(). False if memory is out: the
 * answer is not sent, and the charge point sends its CALL again.
 */
bool deferred_answer(uint64_t number, struct conn *c, uint32_t entry,
    uint64_t generation, const char *text, size_t len, size_t payload_len,
    uint64_t since_us, bool urgent, const struct deferred_effect *effect);

/* Adds the outcome of a call, for a request of the master. False without
 * memory. */
bool deferred_done(uint64_t number, uint64_t request, unsigned outcome,
    const char *body, size_t len);

/* True if the outcome of this request waits for its commit. */
bool deferred_awaits(uint64_t request);

struct deferred_calls {
    /* The event of the answer is durable; its connection may have ended. */
    void (*durable)(const struct deferred *d);
    /* The answer was sent. */
    void (*sent)(struct conn *c, const struct deferred_effect *e);
};

/* Called when events up to this number are durable. */
void deferred_release(uint64_t number, const struct deferred_calls *calls);

/* Calls late() for the connections whose transaction messages have waited for
 * their commit for at least wait_ms. */
void deferred_late(uint64_t wait_ms, void (*late)(struct conn *c));

/* True if an answer or an outcome waits for its commit. */
bool deferred_any(void);
bool deferred_has(const struct conn *c);

/* Count an answer that is deferred for a connection, or was sent. With
 * HELD_PER_CONN of them its reading is paused, until half of them are sent. */
#define HELD_PER_CONN 16
void deferred_hold(struct conn *c);
void deferred_unhold(struct conn *c);

#endif
