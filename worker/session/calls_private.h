/*
 * calls_private: a call, as calls.c, calls_move.c and outcomes.c see it.
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
/* Takes the first one of its queue. */
struct call *calls_pop(struct conn *c);
/* The command of a datagram of the master: commandId, identity, action,
 * payload, and "unchecked" or "". NULL if memory is out. */
struct call *calls_of_datagram(const struct channel_msg *msg, const char *body);
/* A connection of this worker has the call of that request of the master. */
bool calls_held(uint64_t request);

#endif
