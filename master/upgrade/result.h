/*
 * result: the result of an upgrade, for its clients and for `status`.
 */
#ifndef MASTER_UPGRADE_RESULT_H
#define MASTER_UPGRADE_RESULT_H

#include <stdint.h>

#include "cref.h"

struct result {
    char     former[24]; /* version of the old program */
    unsigned slots;      /* slots of the old program */
    struct {
        uint64_t connections, closed, ms;
    } slot[CREF_SLOTS];
    uint64_t connections, closed;
    uint64_t began_ms, froze_ms; /* as in offer_end() */
};

/* Stores the result of a successful upgrade in shared memory, for `status`. */
void result_remember(const struct result *r);
/* The old program continues; why: the reason, one line. */
void result_remember_failure(const struct result *r, const char *why);
/* Replies to each client that waits for the upgrade. */
void result_answer(const struct result *r);

#endif
