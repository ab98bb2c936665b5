/*
 * questions: the state in Redis of questions to the platform.
 *
 * The question's event opens it, as it is shipped (ocppd_gateway.lua), and
 * the event that holds the answer closes it. In between the platform's first
 * answer is taken. A worker that is about to give the fallback asks here
 * first, so that an answer that was taken is the one that is given.
 */
#ifndef WORKER_FLEET_QUESTIONS_H
#define WORKER_FLEET_QUESTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the platform can be asked about this identity now. */
bool questions_reachable(const char *identity, size_t len);

/* This worker's token of a question: at most size bytes with NUL. */
void questions_token(char *out, size_t size, const char *id);

/* Closes a question. up_question_closed() brings the result. False if Redis
 * cannot be asked. */
bool questions_close(const char *identity, size_t len, const char *token);

/* The answer that was taken cannot be used: another one may be given. */
void questions_reopen(
    const char *identity, size_t len, const char *token, const char *why);

#endif
