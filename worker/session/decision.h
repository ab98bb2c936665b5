/*
 * decision: how a CALL is answered.
 *
 * Most CALLs are answered by the settings of [answers]. A message that is
 * remembered, such as a StartTransaction, may be one that was sent again: it
 * gets the answer that this gateway, another worker or another gateway has
 * given to it.
 */
#ifndef WORKER_SESSION_DECISION_H
#define WORKER_SESSION_DECISION_H

#include "session/answer.h"

/* See answers.h. */
enum decision {
    DECISION_NOW,
    DECISION_COMMITTED,
    DECISION_ASK,
    DECISION_ASKED,
    DECISION_LATER
};

/* Decides about a CALL that has passed its checks. Sets a->by, and a->effect
 * and a->after if the message is remembered. With NOW and COMMITTED the payload
 * of the answer is in answer_payload. */
enum decision decision_of(struct answer *a);
/* Decides about a CALL whose decision was ASK, if the platform cannot be asked
 * after all. */
enum decision decision_unasked(struct answer *a);

#endif
