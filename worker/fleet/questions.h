/*
 * questions: the state in Redis of questions to the platform.
 *
 * Shipping the question's event opens the question (ocppd_gateway.lua), and
 * shipping the event with the answer closes it. In between Redis accepts the
 * platform's first answer. Before a worker gives the fallback, it closes the
 * question here, so that an accepted answer is always the one that is given.
 */
#ifndef WORKER_FLEET_QUESTIONS_H
#define WORKER_FLEET_QUESTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* True if the platform can be asked about this identity now. */
bool questions_reachable(const char *identity, size_t len);

/* Writes this worker's token of a question: at most size bytes with NUL. */
void questions_token(char *out, size_t size, const char *id);

/* Closes a question. up_question_closed() brings the result. False if Redis
 * cannot be asked. */
bool questions_close(const char *identity, size_t len, const char *token);

/* Called when the accepted answer cannot be used: the platform may give another
   one. */
void questions_reopen(
    const char *identity, size_t len, const char *token, const char *why);

#endif
