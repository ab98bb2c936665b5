/*
 * calls_private: what calls.c and calls_move.c share.
 */
#ifndef WORKER_SESSION_CALLS_PRIVATE_H
#define WORKER_SESSION_CALLS_PRIVATE_H

#include "fleet/call_queue.h"
#include "ocpp/ocppj.h"
#include "ocpp/schema.h"
#include "session/calls.h"

struct call {
    struct call        *next;
    uint64_t            request; /* the master's number for it */
    struct queued_call *queued;  /* of Redis; else NULL */
    uint32_t            taken_ms;
    uint32_t            sent_ms;
    uint32_t            timeout_ms; /* from taken_ms, for the whole of it */
    uint64_t            announced;  /* number of its command.sent event, 0:
                                       there is none yet */
    bool        sent;
    bool        unchecked;            /* sent although it breaks the schema */
    const char *violation;            /* of the schema by the CALLRESULT */
    uint64_t    deviations;           /* of the CALLRESULT */
    uint8_t     outcome;              /* while it waits for the journal */
    char        id[OCPPJ_ID_MAX + 1]; /* message id of the CALL */
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

/* A call as it was asked for, whichever way it came. */
struct call_request {
    uint64_t            request;    /* the master's number for it; 0 none */
    struct queued_call *queued;     /* of Redis; else NULL */
    uint64_t            timeout_ms; /* 0: ocpp.message_timeout */
    const char         *command_id; /* "": the gateway makes one */
    const char         *identity;
    const char         *action;
    const char         *payload; /* "" stands for {} */
    bool                unchecked;
};

/* A call with a new id, in no queue yet. NULL if memory is out. */
struct call *calls_make(const struct call_request *r);
/* Ends a call that is in no queue any more. */
void calls_finish_plain(
    struct call *k, enum outcome outcome, const char *code, const char *why);
/* Takes the first one of its queue. */
struct call *calls_pop(struct conn *c);
/* Outcomes that the journal would not take, oldest first. */
void         calls_park(struct call *k);
struct call *calls_parked(void);

#endif
