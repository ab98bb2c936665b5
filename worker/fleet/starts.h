/*
 * starts: the StartTransactions that the gateways of a fleet have answered.
 *
 * A StartTransaction that is sent again may arrive at another gateway, so Redis
 * keeps the answer too (ocppd_start): before a gateway gives a new answer, it
 * asks, and in the same step reserves the answer that it is about to give.
 * Whichever gateway is first decides; all others give the same answer.
 *
 *     starts_look(): NONE -- starts_ask() --> PENDING --> NEW, DRAFT, KNOWN
 *                                                \------> UNREACHABLE
 *
 * The CALL is looked at again until the reply is there. A reply holds only for
 * the turn of the event loop in which it arrives (up_starts_replied()), because
 * another gateway may answer the start at any time. One that no CALL has taken
 * in that turn is forgotten.
 */
#ifndef WORKER_FLEET_STARTS_H
#define WORKER_FLEET_STARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registry_starts.h"

enum starts_found {
    STARTS_NONE,    /* Redis was not asked */
    STARTS_PENDING, /* its reply is on the way */
    STARTS_NEW,     /* not known; the proposed answer is reserved now. Without a
                       proposal, nothing is */
    STARTS_DRAFT,   /* a gateway has reserved this answer; whether its event is
                       durable is not known */
    STARTS_KNOWN,   /* the event with this answer is in the stream */
    STARTS_STOPPED, /* its transaction has ended, and nothing is reserved */
    STARTS_UNREACHABLE /* no reply within 500 ms; the proposal may be
                          reserved */
};

struct starts_reply {
    size_t len; /* of answer: the proposed one, or the one that was given */
    char   answer[REGISTRY_ANSWER_MAX];
};

/* True if Redis can be asked about this identity now. False without [redis]. */
bool starts_possible(const char *identity, size_t len);

/* The state of the question about the start with this fingerprint. Redis'
 * answer is copied to *reply, once, and forgotten. Sends nothing. */
enum starts_found starts_look(const char *identity, size_t len,
    const uint64_t fingerprint[2], struct starts_reply *reply);

/* proposal: the answer that this gateway would give; empty if it is to be made
 * by the platform, and then nothing is reserved. left: the charge point has
 * left, so after the end of its transaction an equal start is not a new one.
 * False if Redis cannot be asked. */
bool starts_ask(const char *identity, size_t len, const uint64_t fingerprint[2],
    const char *proposal, size_t n, bool left);

/* Called when the StopTransaction of that transaction is durable. Redis also
 * gets the event when it is shipped; this call is for an equal start that comes
 * before that. */
void starts_stopped(const char *identity, size_t len, int32_t id);

#endif
