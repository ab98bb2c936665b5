/*
 * registry_answer: answers to starts as numbers (registry_starts.h).
 *
 * Most answers have no content but a status, or none at all. Such an answer is
 * the number of its status, so that it needs no memory for its text:
 *
 *   START   {"transactionId":N,"idTagInfo":{"status":"WORD"}}, version 1.6
 *   STOP    {} as 0, or {"idTagInfo":{"status":"WORD"}}, version 1.6; Accepted
 *           has no number of its own, because {} has its place
 *   EVENT   {} as 0, or {"idTokenInfo":{"status":"WORD"}}, versions 2.x
 *
 * The numbers stand in shared memory, which an upgrade does not hand over.
 */
#ifndef COMMON_REGISTRY_ANSWER_H
#define COMMON_REGISTRY_ANSWER_H

#include <stddef.h>
#include <stdint.h>

enum registry_answer_form {
    REGISTRY_ANSWER_START,
    REGISTRY_ANSWER_STOP,
    REGISTRY_ANSWER_EVENT
};

/* Numbers of a START or STOP, and of an EVENT. */
#define REGISTRY_ANSWER_STATUSES 5
#define REGISTRY_ANSWER_TOKEN_STATUSES 11

/* Bytes of an answer that can be kept; each of these forms fits. */
#define REGISTRY_ANSWER_MAX 190

/* The number of this answer, byte for byte; -1 if it has none. id: of the
 * transaction, for a START. */
int registry_answer_number(
    enum registry_answer_form form, int32_t id, const char *answer, size_t len);

/* The answer of a number, into REGISTRY_ANSWER_MAX bytes, without a NUL.
 * Returns its length. */
size_t registry_answer_put(
    char *out, enum registry_answer_form form, int32_t id, unsigned number);

#endif
