/*
 * asking: questions to the platform about CALLs, from the event that asks to
 * the answer that is sent.
 *
 *     asking_ask() --> OPEN --answer--> ANSWERED: its event is made, and the
 *                        |              answer is sent
 *                        \--timeout--> CLOSING --> OVER: the fallback is sent
 *
 * platform.h keeps the questions. A question outlives its connection: the
 * answer becomes durable even if the charge point is away, and a
 * StartTransaction that is sent again replaces the CALL of the question. Before
 * the fallback is used, the question is closed in Redis, so that an answer that
 * was acknowledged to the platform is never ignored.
 */
#ifndef WORKER_SESSION_ASKING_H
#define WORKER_SESSION_ASKING_H

#include "base/up.h"
#include "session/answer.h"

struct question;

/* True if the platform can be asked now. */
bool asking_possible(const struct answer *a);
/* False if the platform cannot be asked after all. */
bool asking_ask(struct answer *a);
/* The question that this worker has asked about the start; NULL if none. */
struct question *asking_find(struct answer *a);

/* The platform's answer to the question with this token. */
void asking_answered(const char *token, const char *text, size_t len);
/* The result of questions_close(). */
void asking_closed(
    const char *token, enum question_closed how, const char *text, size_t len);
/* Called after questions of the slot's former process were read. */
void asking_inherited(void);
/* Handles timeouts, and answers that could not be sent yet. Called several
   times a second. */
void asking_tick(void);

#endif
