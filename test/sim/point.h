/*
 * point: one simulated charge point.
 *
 * point.c owns its connection and its clock; call.c the one CALL it may have
 * in flight, and what it sends next. What it lives through (boot, heartbeats,
 * sessions) is in story.c, what it answers to the central system in
 * command.c, what it does wrong in mischief.c.
 *
 * All its timers are ticks in this struct; the wheel holds the earliest of
 * them, or an earlier tick: the point then looks again.
 */
#ifndef SIM_POINT_H
#define SIM_POINT_H

#include <stdbool.h>
#include <stdint.h>

#include "fleet.h"
#include "link.h"
#include "message.h"
#include "outbox.h"
#include "wheel.h"

#define POINT_IDENTITY_MAX 256

/* What it is to send as soon as its turn comes; bits of point.wants. */
enum point_want {
    WANT_BOOT = 1,
    WANT_AUTHORIZE = 2,
    WANT_STATUS_0 = 4, /* of the charge point */
    WANT_STATUS_1 = 8, /* of its connector */
    WANT_HEARTBEAT = 16,
    WANT_METER = 32,
    WANT_DIAGNOSTICS = 64,
    WANT_FIRMWARE = 128,
    WANT_LOG = 256,
    WANT_REPORT = 512 /* of its variables */
};

enum point_flag {
    POINT_BOOTED = 1,     /* since power-up; a reconnect does not change it */
    POINT_OPENED = 2,     /* was connected once */
    POINT_TRIED = 4,      /* its first attempt is concluded */
    POINT_ACTIVE = 8,     /* takes part in the load */
    POINT_READY = 16,     /* is in the pump's queue */
    POINT_RIVAL = 32,     /* the second one of its identity */
    POINT_HALF_OPEN = 64, /* the mischief it is up to */
    POINT_FLAP = 128,
    POINT_SLOW = 256,
    POINT_GARBLED = 512,   /* sent garbage on this connection */
    POINT_STORMED = 1024,  /* dropped by the storm, not yet back */
    POINT_STATED = 2048,   /* sent its status since power-up */
    POINT_RESET = 4096,    /* power-cycles as soon as it may */
    POINT_UP = 8192,       /* counted as connected */
    POINT_FINISHED = 16384 /* sent its --messages */
};

enum point_story {
    STORY_OFF,         /* no sessions, or not booted */
    STORY_FREE,        /* until the next session */
    STORY_AUTHORIZING, /* a card was held to it */
    STORY_CHARGING,
    STORY_FINISHING /* the cable is still plugged in */
};

struct point {
    struct link        link; /* first: the link is the point */
    struct wheel_entry timer;
    uint32_t           ready_next, ready_prev; /* the pump's queue */
    uint32_t           number; /* among all identities, from 0 */
    uint16_t           flags;  /* enum point_flag */
    uint16_t           wants;  /* enum point_want */

    /* The CALL in flight. */
    uint32_t call;      /* its number; 0: none */
    uint32_t last_call; /* numbers given so far */
    uint64_t call_meant_ns;
    char    *call_copy;   /* its payload, for the ledger; or NULL */
    uint8_t  call_action; /* enum message */
    bool     call_kept;   /* it is the head of the outbox */

    uint8_t failures;    /* of connecting, in a row */
    uint8_t story;       /* enum point_story */
    uint8_t status;      /* enum message_status of connector 1 */
    bool    inoperative; /* ChangeAvailability */
    uint8_t list_version;
    uint8_t version;     /* enum message_version */
    uint8_t report_part; /* the next one */

    /* Ticks; 0: never. */
    uint32_t connect_due; /* when down: connect; else: patience is over */
    uint32_t call_due;    /* the answer is missing from then on */
    uint32_t outbox_due;  /* the outbox rests until then */
    uint32_t heartbeat_due;
    uint32_t story_due;
    uint32_t mischief_due;

    uint32_t heartbeat_s;
    uint32_t meter_ms;  /* MeterValueSampleInterval */
    uint32_t load_sent; /* of --messages */

    /* The session. */
    int32_t       transaction; /* the last id given; 0: none */
    uint32_t      meter_wh;    /* of the connector, for life */
    uint32_t      power_w;
    uint32_t      session_meter, session_tick, session_end;
    int32_t       reservation;
    int32_t       report;       /* requestId of the report that is sent */
    uint32_t      session, seq; /* 2.x: number of the transaction, seqNo */
    int64_t       remote_id;    /* 2.x: of the session started from afar */
    struct outbox outbox;
    char         *remote_tag; /* the session was started from afar, by it */
    char         *key;        /* its password, once it was changed */
    uint64_t      connect_ns; /* when it should have been connected */
};

extern const struct link_ops point_ops;

void point_init(struct point *p, uint32_t number, uint16_t flags);
void point_fire(uint32_t index); /* the wheel's */
/* Connects at that tick, meant for that time (0: when it is done). */
void point_connect_at(struct point *p, uint32_t tick, uint64_t meant_ns);
/* Drops the connection; it comes back after its back-off. */
void point_drop(struct point *p, bool reset);
/* The connection is gone for whatever reason: comes back after a back-off. */
void point_gone(struct point *p);
/* Leaves the socket open and silent; the caller decides when it connects. */
int point_abandon(struct point *p);
/* Closes the connection, and stays away; counts what was never answered. */
void point_quit(struct point *p);

void point_rearm(struct point *p);

const char *point_identity(const struct point *p); /* until the next call */
const char *point_tag(const struct point *p);      /* its customer's card */
const char *point_now(void);                       /* time as OCPP has it */

/* call.c: its CALLs, and what came back. */
/* Sends what is due next, if no CALL is in flight. */
void point_settle(struct point *p);
/* Sends a CALL now; the point must be free. */
void point_call(struct point *p, enum message m, const char *payload, size_t n,
    uint64_t meant_ns);
/* Puts a transaction message in the queue. */
void point_queue(struct point *p, enum message m, const struct message_text *t,
    uint64_t meant_ns);
/* The CALL in flight is over, one way or another. */
void point_call_over(struct point *p);
/* It got no answer in time. */
void point_unanswered(struct point *p);
/* The link's: a message came. */
void point_message(struct link *l, int opcode, const char *text, size_t n);

/* story.c: what it lives through. */
void story_connected(struct point *p);
void story_tick(struct point *p);
void story_answer(
    struct point *p, enum message m, const struct message_verdict *v);
void story_lost(struct point *p); /* the CALL in flight got no answer */
void story_stop(struct point *p, const char *reason);
/* RemoteStartTransaction; false: it cannot now. id: remoteStartId, of 2.x. */
bool   story_start(struct point *p, const char *tag, int64_t id);
void   story_state(struct point *p, enum message_status s);
double story_interval(const struct point *p); /* of heartbeats, seconds */
void   story_say(struct point *p, struct message_text *t, enum message *m);
void   story_load(struct point *p, uint64_t meant_ns); /* one of the load */

/* command.c: what it answers to the central system. */
void command_handle(struct point *p, const struct jsonspan_frame *f);

/* mischief.c: what it does wrong. */
uint16_t mischief_flags(uint32_t number);
bool     mischief_rival(uint32_t number); /* its identity has two */
void     mischief_connected(struct point *p);
void     mischief_tick(struct point *p);
void     mischief_garble(struct point *p); /* perhaps, before a CALL */

#endif
