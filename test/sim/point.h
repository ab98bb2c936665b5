/*
 * point: one simulated charge point.
 *
 * point.c owns the connection and the timers; call.c the CALL in flight and the
 * choice of the next one. story.c decides what the charge point does (boot,
 * heartbeats, sessions), command.c answers the central system, and mischief.c
 * makes errors on purpose.
 *
 * All its timers are ticks in this struct. The wheel holds the earliest of
 * them, or an earlier tick, at which the charge point checks its timers.
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

/* The messages to be sent as soon as possible; bits of point.wants. */
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
    POINT_BOOTED = 1, /* since power-up; a new connection does not change it */
    POINT_OPENED = 2, /* was connected once */
    POINT_TRIED = 4,  /* its first attempt is concluded */
    POINT_ACTIVE = 8, /* takes part in the load */
    POINT_READY = 16, /* is in the pump's queue */
    POINT_RIVAL = 32, /* the second one with the same identity */
    POINT_HALF_OPEN = 64, /* kinds of mischief */
    POINT_FLAP = 128,
    POINT_SLOW = 256,
    POINT_GARBLED = 512,   /* has sent an invalid message on this connection */
    POINT_STORMED = 1024,  /* dropped by the storm, and still down */
    POINT_STATED = 2048,   /* sent its status since power-up */
    POINT_RESET = 4096,    /* turns its power off and on as soon as possible */
    POINT_UP = 8192,       /* counted as connected */
    POINT_FINISHED = 16384 /* sent its --messages */
};

enum point_story {
    STORY_OFF,         /* no sessions, or not booted */
    STORY_FREE,        /* waits for the next session */
    STORY_AUTHORIZING, /* a card is being authorized */
    STORY_CHARGING,
    STORY_FINISHING /* the cable is still plugged in */
};

struct point {
    struct link link; /* the first member, so a link can be cast to its point */
    struct wheel_entry timer;
    uint32_t           ready_next, ready_prev; /* the pump's queue */
    uint32_t           number; /* among all identities, counted from 0 */
    uint16_t           flags;  /* enum point_flag */
    uint16_t           wants;  /* enum point_want */

    /* The CALL in flight. */
    uint32_t call;      /* its number; 0: none */
    uint32_t last_call; /* the highest number so far */
    uint64_t call_meant_ns;
    char    *call_copy;   /* copy of its payload, for the ledger; or NULL */
    uint8_t  call_action; /* enum message */
    bool     call_kept;   /* it is the head of the outbox */

    uint8_t failures;    /* failed attempts to connect, in a row */
    uint8_t story;       /* enum point_story */
    uint8_t status;      /* enum message_status of connector 1 */
    bool    inoperative; /* set by ChangeAvailability */
    uint8_t list_version;
    uint8_t version;     /* enum message_version */
    uint8_t report_part; /* of the report: the next part */

    /* Ticks; 0: never. */
    uint32_t connect_due; /* when down: time to connect; otherwise: end of the
                             patience */
    uint32_t call_due;    /* then the answer counts as missing */
    uint32_t outbox_due;  /* before, nothing of the outbox is sent */
    uint32_t heartbeat_due;
    uint32_t story_due;
    uint32_t mischief_due;

    uint32_t heartbeat_s;
    uint32_t meter_ms;  /* MeterValueSampleInterval */
    uint32_t load_sent; /* number of --messages that were sent */

    /* The session. */
    int32_t       transaction; /* the last transaction id; 0: none */
    uint32_t      meter_wh;    /* of the connector; never reset */
    uint32_t      power_w;
    uint32_t      session_meter, session_tick, session_end;
    int32_t       reservation;
    int32_t       report;       /* requestId of the report that is being sent */
    uint32_t      session, seq; /* 2.x: number of the transaction, seqNo */
    int64_t       remote_id;    /* 2.x: remoteStartId of the session */
    struct outbox outbox;
    char *remote_tag;    /* idTag of the remote command that has started the
                            session */
    char    *key;        /* its password, if it was changed */
    uint64_t connect_ns; /* time at which it should have been connected */
};

extern const struct link_ops point_ops;

void point_init(struct point *p, uint32_t number, uint16_t flags);
void point_fire(uint32_t index); /* called by the wheel */
/* Connects at that tick. meant: the time at which it is due; 0: the time of the
 * attempt. */
void point_connect_at(struct point *p, uint32_t tick, uint64_t meant_ns);
/* Drops the connection; the charge point connects again after its back-off. */
void point_drop(struct point *p, bool reset);
/* Called when the connection has ended in any way: connects again after a
 * back-off. */
void point_gone(struct point *p);
/* Leaves the socket open and silent, and returns it; the caller decides when
 * the charge point connects again. */
int point_abandon(struct point *p);
/* Closes the connection for good; counts CALLs without an answer. */
void point_quit(struct point *p);

void point_rearm(struct point *p);

/* Its identity, the card of its customer, and the time in the form of OCPP.
 * Valid until the next call. */
const char *point_identity(const struct point *p);
const char *point_tag(const struct point *p);
const char *point_now(void);

/* call.c: its CALLs, and their answers. */
/* Sends what is due next, if no CALL is in flight. */
void point_settle(struct point *p);
/* Sends a CALL now; the point must be free. */
void point_call(struct point *p, enum message m, const char *payload, size_t n,
    uint64_t meant_ns);
/* Puts a transaction message in the queue. */
void point_queue(struct point *p, enum message m, const struct message_text *t,
    uint64_t meant_ns);
/* Called when the CALL in flight has ended in any way. */
void point_call_over(struct point *p);
/* Called when there was no answer in time. */
void point_unanswered(struct point *p);
/* Called by the link for each message. */
void point_message(struct link *l, int opcode, const char *text, size_t n);

/* story.c: the sessions of a charge point. */
void story_connected(struct point *p);
void story_tick(struct point *p);
void story_answer(
    struct point *p, enum message m, const struct message_verdict *v);
void story_lost(struct point *p); /* the CALL in flight got no answer */
void story_stop(struct point *p, const char *reason);
/* RemoteStartTransaction; false if it is impossible now. id: remoteStartId of
 * 2.x. */
bool   story_start(struct point *p, const char *tag, int64_t id);
void   story_state(struct point *p, enum message_status s);
double story_interval(const struct point *p); /* seconds between heartbeats */
void   story_say(struct point *p, struct message_text *t, enum message *m);
/* Sends a message of the load. */
void story_load(struct point *p, uint64_t meant_ns);

/* command.c: its answers to the central system. */
void command_handle(struct point *p, const struct jsonspan_frame *f);

/* mischief.c: its errors. */
uint16_t mischief_flags(uint32_t number);
/* True if two charge points have its identity. */
bool mischief_rival(uint32_t number);
void mischief_connected(struct point *p);
void mischief_tick(struct point *p);
/* Sends an invalid message before a CALL, if it is its turn. */
void mischief_garble(struct point *p);

#endif
