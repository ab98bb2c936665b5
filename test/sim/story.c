/*
 * story: what a charge point does.
 *
 * Boot, heartbeats, and sessions: a customer presents a card, plugs in the
 * cable, charges, and leaves. Sessions continue without a connection, and
 * transaction messages wait in the outbox. With --rate or --messages there are
 * no sessions: the messages of the load are made here, one at a time.
 *
 *     OFF --boot--> FREE --card--> AUTHORIZING --> CHARGING --> FINISHING
 *                    ^                  | refused                   |
 *                    `------------------+---------------------------'
 */
#include "point.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/ensure.h"
#include "speech.h"

#define HEARTBEAT_S 300u /* if the server has given no interval */
#define BOOT_RETRY_S 5.0
#define OFFLINE_MAX 500u /* a fuller outbox gets no more meter values */
#define FINISHING_S 5.0

static bool
lives(void)
{
    return !fleet.o->idle && !fleet.o->load;
}

static void
next_session(struct point *p)
{
    p->story = STORY_OFF;
    if (!lives() || fleet.o->session_every <= 0)
        return;
    p->story = STORY_FREE;
    p->story_due = fleet.tick +
        fleet_ticks(-log(1 - fleet_chance()) * fleet.o->session_every);
}

double
story_interval(const struct point *p)
{
    return fleet.o->heartbeat_every > 0 ? fleet.o->heartbeat_every
                                        : (double)p->heartbeat_s;
}

/* True if it is booted and connected. */
static void
in_service(struct point *p)
{
    const struct options *o = fleet.o;

    if (p->heartbeat_s == 0)
        p->heartbeat_s = HEARTBEAT_S;
    /* The first heartbeat is at any time within the interval, so that charge
     * points that connect at the same time do not send at the same time. */
    if (o->heartbeat_every > 0 || lives())
        p->heartbeat_due =
            fleet.tick + fleet_ticks(story_interval(p) * fleet_chance());
    if (!lives())
        return;
    if (!(p->flags & POINT_STATED)) {
        p->flags |= POINT_STATED;
        p->wants |= WANT_STATUS_0 | WANT_STATUS_1;
    }
    if (p->story == STORY_OFF)
        next_session(p);
}

void
story_connected(struct point *p)
{
    if (fleet.o->no_boot)
        p->flags |= POINT_BOOTED;
    if (p->flags & POINT_BOOTED)
        in_service(p);
    else
        p->wants |= WANT_BOOT;
}

void
story_state(struct point *p, enum message_status s)
{
    if (p->inoperative && s == STATUS_AVAILABLE)
        s = STATUS_UNAVAILABLE;
    p->status = (uint8_t)s;
    p->wants |= WANT_STATUS_1;
}

static uint32_t
meter_now(const struct point *p)
{
    if (p->story != STORY_CHARGING || fleet.o->load)
        return p->meter_wh;
    uint64_t ms = (uint64_t)(fleet.tick - p->session_tick) * FLEET_TICK_MS;
    return p->session_meter + (uint32_t)(p->power_w * ms / 3600000u);
}

static void
session_begin(struct point *p)
{
    static const uint32_t power[] = {2300, 3680, 7360, 11040, 22080, 50000};
    struct message_text   t;

    p->story = STORY_CHARGING;
    p->power_w = power[(unsigned)(fleet_chance() * 6)];
    p->session_meter = p->meter_wh;
    p->session_tick = fleet.tick;
    p->session_end = fleet.tick +
        fleet_ticks(fleet.o->session_length * (0.5 + fleet_chance()));
    enum message m = speech_start(p, &t);
    point_queue(p, m, &t, 0);
    tally_add(fleet.tally, charging, 1);
    story_state(p, STATUS_CHARGING);
    p->story_due = fleet.tick + fleet_ticks(p->meter_ms / 1000.0);
    if (p->story_due > p->session_end)
        p->story_due = p->session_end;
}

static void
no_customer(struct point *p)
{
    free(p->remote_tag);
    p->remote_tag = NULL;
    story_state(p, STATUS_AVAILABLE);
    next_session(p);
}

void
story_stop(struct point *p, const char *reason)
{
    struct message_text t;
    uint32_t            meter = meter_now(p);

    if (p->story == STORY_AUTHORIZING)
        no_customer(p);
    if (p->story != STORY_CHARGING || fleet.o->load)
        return;
    if (meter == p->session_meter)
        meter++; /* with the same meter value, two starts would be equal */
    p->meter_wh = meter;
    enum message m = speech_stop(p, &t, meter, reason);
    point_queue(p, m, &t, 0);
    tally_add(fleet.tally, charging, -1);
    tally_add(fleet.tally, energy_wh, meter - p->session_meter);
    p->story = STORY_FINISHING;
    story_state(p, STATUS_FINISHING);
    double pause = fleet.o->session_every / 4;
    p->story_due =
        fleet.tick + fleet_ticks(pause < FINISHING_S ? pause : FINISHING_S);
}

bool
story_start(struct point *p, const char *tag, int64_t id)
{
    if (fleet.o->load || p->inoperative || !(p->flags & POINT_BOOTED) ||
        (p->story != STORY_FREE && p->story != STORY_OFF))
        return false;
    free(p->remote_tag);
    p->remote_tag = strdup(tag);
    ensure(p->remote_tag != NULL);
    p->remote_id = id;
    session_begin(p);
    return true;
}

void
story_tick(struct point *p)
{
    struct message_text t;

    if (fleet.phase >= FLEET_DRAIN)
        return;
    if (!(p->flags & POINT_BOOTED)) {
        p->wants |= WANT_BOOT;
        return;
    }
    switch (p->story) {
    case STORY_FREE:
        if (p->inoperative || p->reservation != 0) {
            next_session(p);
            return;
        }
        story_state(p, STATUS_PREPARING);
        if (p->link.state != LINK_OPEN) {
            session_begin(p);
            return;
        }
        p->story = STORY_AUTHORIZING;
        p->wants |= WANT_AUTHORIZE;
        return;
    case STORY_CHARGING:
        if (fleet.tick >= p->session_end) {
            story_stop(p, fleet_chance() < 0.5 ? "Local" : "EVDisconnected");
            return;
        }
        if (p->outbox.count < OFFLINE_MAX) {
            enum message m = speech_update(p, &t, meter_now(p));
            point_queue(p, m, &t, 0);
        }
        p->story_due = fleet.tick + fleet_ticks(p->meter_ms / 1000.0);
        if (p->story_due > p->session_end)
            p->story_due = p->session_end;
        return;
    case STORY_FINISHING:
        no_customer(p);
        return;
    default:
        return;
    }
}

static void
boot_answered(struct point *p, const struct message_verdict *v)
{
    if (v->interval > 0)
        p->heartbeat_s = (uint32_t)v->interval;
    if (v->accepted) {
        p->flags |= POINT_BOOTED;
        in_service(p);
        return;
    }
    p->story_due = fleet.tick +
        fleet_ticks(v->interval > 0 ? (double)v->interval : BOOT_RETRY_S);
}

void
story_answer(struct point *p, enum message m, const struct message_verdict *v)
{
    switch (m) {
    case MESSAGE_BOOT:
        boot_answered(p, v);
        return;
    case MESSAGE_AUTHORIZE:
        if (p->story != STORY_AUTHORIZING)
            return;
        if (v->accepted)
            session_begin(p);
        else
            no_customer(p);
        return;
    case MESSAGE_START:
    case MESSAGE_TX_STARTED:
        if (!v->accepted)
            story_stop(p, "DeAuthorized");
        return;
    default:
        return;
    }
}

void
story_lost(struct point *p)
{
    switch ((enum message)p->call_action) {
    case MESSAGE_BOOT:
        /* A new connection begins with a boot in any case. */
        if (p->link.state == LINK_OPEN)
            p->story_due = fleet.tick + fleet_ticks(BOOT_RETRY_S);
        return;
    case MESSAGE_AUTHORIZE:
        if (p->story == STORY_AUTHORIZING)
            session_begin(p);
        return;
    case MESSAGE_STATUS:
    case MESSAGE_EVENT:
        if (lives())
            p->wants |= WANT_STATUS_1;
        break;
    default:
        break;
    }
    /* It was not delivered, so one more message must be sent. */
    if (fleet.o->load && !p->call_kept && p->load_sent > 0)
        p->load_sent--;
}

void
story_say(struct point *p, struct message_text *t, enum message *m)
{
    unsigned bit = p->wants & -(unsigned)p->wants;

    p->wants &= (uint16_t)~bit;
    switch ((enum point_want)bit) {
    case WANT_BOOT:
        *m = speech_boot(p, t);
        return;
    case WANT_AUTHORIZE:
        *m = speech_authorize(p, t);
        return;
    case WANT_STATUS_0:
        *m = speech_status(p, t, 0, STATUS_AVAILABLE);
        return;
    case WANT_STATUS_1:
        *m = speech_status(p, t, 1, p->status);
        return;
    case WANT_METER:
        *m = speech_meter(p, t, meter_now(p),
            p->story == STORY_CHARGING ? p->power_w : 0, "Trigger");
        return;
    case WANT_DIAGNOSTICS:
        *m = speech_word(p, t, MESSAGE_DIAGNOSTICS, "Uploaded");
        return;
    case WANT_FIRMWARE:
        *m = speech_word(p, t, MESSAGE_FIRMWARE, "Installed");
        return;
    case WANT_LOG:
        *m = speech_word(p, t, MESSAGE_LOG, "Idle");
        return;
    case WANT_REPORT:
        *m = speech_report(p, t);
        return;
    case WANT_HEARTBEAT:
        break;
    }
    *m = MESSAGE_HEARTBEAT;
    message_heartbeat(t);
}

/* --- the load ------------------------------------------------------------ */

/* Sends StartTransaction and StopTransaction in turn, through the outbox. */
static void
load_transaction(struct point *p, uint64_t meant_ns)
{
    struct message_text t;
    enum message        m;

    if (p->story == STORY_CHARGING) {
        uint32_t wh = 100 + (uint32_t)(fleet_chance() * 40000);
        p->meter_wh += wh;
        m = speech_stop(p, &t, p->meter_wh, "Local");
        tally_add(fleet.tally, energy_wh, wh);
        p->story = STORY_OFF;
    } else {
        m = speech_start(p, &t);
        p->story = STORY_CHARGING;
    }
    point_queue(p, m, &t, meant_ns);
    point_settle(p);
}

void
story_load(struct point *p, uint64_t meant_ns)
{
    static const uint8_t states[] = {
        STATUS_AVAILABLE, STATUS_PREPARING, STATUS_CHARGING, STATUS_FINISHING};
    struct message_text t;
    int                 action = fleet.o->action;
    int                 die = action == -1 ? (int)(fleet_chance() * 4) : -1;

    p->load_sent++;
    if (die == 3) {
        load_transaction(p, meant_ns);
        return;
    }
    if (die == 0 || action == MESSAGE_HEARTBEAT) {
        message_heartbeat(&t);
        action = MESSAGE_HEARTBEAT;
    } else if (die == 1 || action == MESSAGE_STATUS) {
        action = (int)speech_status(p, &t, 1, states[p->last_call % 4]);
    } else {
        p->meter_wh += 10;
        action =
            (int)speech_meter(p, &t, p->meter_wh, 11040, "Sample.Periodic");
    }
    point_call(p, (enum message)action, t.p, t.n, meant_ns);
}
