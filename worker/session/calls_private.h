/*
 * calls_private: the struct of a call, for calls.c, calls_answered.c,
 * calls_move.c and outcomes.c only.
 */
#ifndef WORKER_SESSION_CALLS_PRIVATE_H
#define WORKER_SESSION_CALLS_PRIVATE_H

#include "fleet/call_queue.h"
#include "ocpp/ocppj.h"
#include "ocpp/schema.h"
#include "session/calls.h"

struct call {
    struct call        *next;
    uint64_t            request;    /* the master's number for it */
    struct queued_call *queued;     /* of Redis; else NULL */
    uint32_t            taken_ms;   /* self.now_ms */
    uint32_t            sent_ms;    /* self.now_ms, if sent */
    uint32_t            timeout_ms; /* time limit, from taken_ms to the
                                       outcome */
    uint64_t announced;             /* number of its command.sent event; 0: none
                                       yet */
    bool sent;
    bool unchecked;            /* it may be sent although it violates the
                                  schema */
    const char *violation;     /* how the CALLRESULT violates the schema;
                                  NULL */
    uint64_t deviations;       /* deviations of the CALLRESULT */
    uint8_t  outcome;          /* enum outcome, while the event waits for
                                  the journal */
    char id[OCPPJ_ID_MAX + 1]; /* message id of the CALL */
    /* One allocation holds the strings too. */
    const char                  *command_id;
    const char                  *identity;
    const char                  *action;
    const char                  *payload;
    const char                  *protocol; /* "" if it was never sent */
    const struct schema_message *m;
    struct buf ended; /* the outcome's JSON, once there is one */
    char       strings[];
};

/* The request for a call, from the master or from Redis. */
struct call_request {
    uint64_t            request;    /* the master's number for it; 0 none */
    struct queued_call *queued;     /* of Redis; else NULL */
    uint64_t            timeout_ms; /* 0: ocpp.message_timeout */
    const char         *command_id; /* "": the gateway generates one */
    const char         *identity;
    const char         *action;
    const char         *payload; /* "" means {} */
    bool                unchecked;
};

/* Makes a call with a new id, which is in no queue yet. NULL if memory is
   out. */
struct call *calls_make(const struct call_request *r);
/* Takes the first call from the queue of c, which must have one; the caller
   owns it. */
struct call *calls_pop(struct conn *c);

#endif
