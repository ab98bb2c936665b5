/*
 * default_answer: the payload of a CALLRESULT that the gateway gives by
 * itself.
 *
 * It contains the fields that the message's schema requires, and a verdict on
 * each token of the request; nothing else. Pure: all that it needs is in its
 * input.
 */
#ifndef WORKER_OCPP_DEFAULT_ANSWER_H
#define WORKER_OCPP_DEFAULT_ANSWER_H

#include <stdint.h>

#include "ocpp/json.h"
#include "ocpp/schema.h"
#include "writer.h"

struct default_answer {
    const struct schema_message *m;
    const struct json           *tape; /* tape of the request */
    uint32_t                     payload;
    const char                  *status; /* dialect_status() */
    const char                  *token_status;
    const char *token_info; /* a verdict as JSON, instead of token_status */
    size_t      token_info_len;
    bool        no_token_info;  /* no verdict where it is optional */
    const char *now;            /* RFC 3339 */
    uint64_t    interval_s;     /* seconds between Heartbeats */
    int64_t     transaction_id; /* used where the gateway assigns the id */
};

/* Appends the payload's members to w, whose object is open. */
void default_answer_put(struct writer *w, const struct default_answer *a);

#endif
