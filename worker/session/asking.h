/*
 * asking: questions to the platform about CALLs, from the event that asks to
 * the answer that leaves.
 *
 *     asking_ask() --> OPEN --answer--> ANSWERED --> its event, and it leaves
 *                        \--timeout--> CLOSING --> OVER: the fallback leaves
 *
 * platform.h keeps the questions. A question outlives its connection: the
 * answer is durable also if the charge point is away, and a StartTransaction
 * that is sent again takes the place of the former one. Before the fallback,
 * the question is closed in Redis, so that an answer that was acknowledged to
 * the platform counts.
 */
#ifndef WORKER_SESSION_ASKING_H
#define WORKER_SESSION_ASKING_H

#include "base/up.h"
#include "session/answer.h"

struct question;

/* Can the platform be asked now? */
bool asking_possible(const struct answer *a);
/* False if the platform cannot be asked after all. */
bool asking_ask(struct answer *a);
/* The question that this worker has asked about the start; NULL if none. */
struct question *asking_find(struct answer *a);

/* Of the platform, for the question of this token. */
void asking_answered(const char *token, const char *text, size_t len);
/* Of questions_close(). */
void asking_closed(
    const char *token, enum question_closed how, const char *text, size_t len);
/* Questions of the former process of the slot have come. */
void asking_inherited(void);
/* Fallbacks, and answers that could not leave yet. Often. */
void asking_tick(void);

#endif
