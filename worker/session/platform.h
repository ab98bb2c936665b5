/*
 * platform: the questions that wait for the platform's answer ([answers]
 * ACTION = platform).
 *
 * A table and nothing else: answers.c puts a question into it when the
 * platform is asked, takes it out when its answer leaves, and decides what
 * that answer is. A question keeps the frame of its CALL, because the event
 * that holds the answer is made from it. It stays when its connection ends: the
 * answer is then an event, and is given when the CALL is sent again.
 */
#ifndef WORKER_SESSION_PLATFORM_H
#define WORKER_SESSION_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "ocpp/schema.h"
#include "identity.h"
#include "registry.h"

#define PLATFORM_TOKEN_MAX 160

enum question_state {
    QUESTION_OPEN,
    QUESTION_CLOSING,  /* its time is over, Redis is asked for a last answer */
    QUESTION_ANSWERED, /* answer is the platform's, and cannot leave yet */
    QUESTION_OVER      /* the fallback is the answer, and cannot leave yet */
};

struct question {
    struct question *next;            /* in its bucket */
    struct question *later, *earlier; /* in order of time */
    uint64_t         number;
    char             token[PLATFORM_TOKEN_MAX];
    uint64_t         since_us;
    uint32_t         since_ms;
    uint32_t         closing_ms;
    uint8_t          state;
    bool             about_token; /* only the CALL's idTag is asked about */
    bool             starts;      /* fingerprint is set */
    uint8_t          protocol;
    uint8_t          identity_len;
    char             identity[IDENTITY_MAX];
    uint32_t         entry;
    cref             conn; /* that the answer is for */
    uint64_t         generation;
    uint64_t         fingerprint[2];
    uint64_t         deviations;
    char            *frame; /* the CALL */
    size_t           frame_len;
    char            *answer; /* ANSWERED */
    size_t           answer_len;
};

/* Puts a question about the CALL in `frame` of c; the caller fills in the
 * rest. number: drawn from shm.sequence. token: unique. NULL if there is no
 * memory, or if the waiting frames hold as much as limits.buffer_memory. */
struct question *platform_put(uint64_t number, const char *token,
    const struct conn *c, const char *frame, size_t len);

/* The CALL came again: c and frame take the place of the former ones. */
bool platform_replace(
    struct question *q, const struct conn *c, const char *frame, size_t len);

/* Keeps the platform's answer. False without memory. */
bool platform_keep(struct question *q, const char *answer, size_t len);

/* NULL if there is none. */
struct question *platform_find(const char *token);
/* The question about the same message: the token may differ in the number
 * behind its last point. */
struct question *platform_find_same(const char *token);

/* The oldest question; platform_next(q) is asked since q was. */
struct question *platform_oldest(void);
struct question *platform_next(const struct question *q);

/* Takes the question out of the table and frees it. */
void platform_remove(struct question *q);

/* All of them as lines, for the process that inherits the slot. */
void platform_write(struct buf *out);
/* Takes one; false if the line is another owner's. */
bool platform_read(struct fields *f);
/* A connection has another cref since it has moved. */
void platform_rename(cref former, cref name);
bool platform_has(const struct conn *c);

#endif
