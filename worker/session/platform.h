/*
 * platform: the questions that wait for the platform's answer ([answers]
 * ACTION = platform).
 *
 * This file is only a table: asking.c puts a question into it when the platform
 * is asked, and removes it when the answer is sent. A question keeps the frame
 * of its CALL, because the event with the answer is made from it. It stays when
 * its connection ends: the answer then becomes an event, and is given when the
 * CALL is sent again.
 */
#ifndef WORKER_SESSION_PLATFORM_H
#define WORKER_SESSION_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "identity.h"
#include "net/conn.h"
#include "ocpp/schema.h"
#include "registry.h"

#define PLATFORM_TOKEN_MAX 160

enum question_state {
    QUESTION_OPEN,
    QUESTION_CLOSING,  /* its time is over; Redis is being asked for an answer
                          for the last time */
    QUESTION_ANSWERED, /* `answer` is the platform's, and cannot be sent yet */
    QUESTION_OVER      /* the fallback is the answer, and cannot be sent yet */
};

struct question {
    struct question *next;            /* the next one in its bucket */
    struct question *later, *earlier; /* in order of time */
    uint64_t         number;
    char             token[PLATFORM_TOKEN_MAX];
    uint64_t         since_us;   /* self.now_us when it was asked */
    uint32_t         since_ms;   /* self.now_ms of the same moment */
    uint32_t         closing_ms; /* self.now_ms when it became CLOSING */
    uint8_t          state;
    bool             about_token; /* the question is only about the CALL's
                                     token */
    bool     starts;              /* fingerprint is set */
    uint8_t  protocol;
    uint8_t  identity_len;
    char     identity[IDENTITY_MAX];
    uint32_t entry;
    cref     conn; /* the connection that gets the answer */
    uint64_t generation;
    uint64_t fingerprint[2];
    uint64_t deviations;
    char    *frame; /* the frame of the CALL */
    size_t   frame_len;
    char    *answer; /* state ANSWERED: the platform's answer */
    size_t   answer_len;
};

/* Puts a question about the CALL in `frame` of c; the caller fills in the
 * rest. number: drawn from shm.sequence. token: unique. NULL if there is no
 * memory, or if the waiting frames hold as much as limits.buffer_memory. */
struct question *platform_put(uint64_t number, const char *token,
    const struct conn *c, const char *frame, size_t len);

/* Called when the CALL was sent again: c and frame replace the former ones.
 * False without memory. */
bool platform_replace(
    struct question *q, const struct conn *c, const char *frame, size_t len);

/* Keeps the platform's answer. False if memory is out. */
bool platform_keep(struct question *q, const char *answer, size_t len);

/* NULL if there is none. */
struct question *platform_find(const char *token);
/* The question of this identity about the same message: the token may differ in
 * the number behind its last point. */
struct question *platform_find_same(
    const char *identity, size_t len, const char *token);

/* The oldest question. platform_next(q): the next one, which was asked later.
   NULL if there is none. */
struct question *platform_oldest(void);
struct question *platform_next(const struct question *q);

/* Removes the question from the table and frees it. */
void platform_remove(struct question *q);

/* Writes all questions as lines, for the process that inherits the slot. */
void platform_write(struct buf *out);
/* Reads one line; false if it belongs to another owner. */
bool platform_read(struct fields *f);
/* Called when a connection has moved and has another cref. platform_has(): true
 * if a question about a CALL of this connection is open. */
void platform_rename(cref former, cref name);
bool platform_has(const struct conn *c);

#endif
