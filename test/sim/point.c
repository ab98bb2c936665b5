/* point: one simulated charge point. See point.h. */
#include "point.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/ensure.h"

#define CLOSE_PATIENCE_S 2.0

const char *
point_identity(const struct point *p)
{
    static char identity[POINT_IDENTITY_MAX];

    options_identity(
        fleet.o, fleet.o->first + p->number, identity, sizeof identity);
    return identity;
}

const char *
point_tag(const struct point *p)
{
    static char tag[21];

    if (p->remote_tag != NULL)
        return p->remote_tag;
    snprintf(tag, sizeof tag, "%s%08" PRIX32,
        p->flags & POINT_RIVAL ? "RIVAL" : "CARD", p->number);
    return tag;
}

const char *
point_now(void)
{
    static char now[CLOCK_RFC3339_LEN + 1];

    clock_rfc3339(now, clock_wall_ms());
    return now;
}

static uint32_t
index_of(const struct point *p)
{
    return (uint32_t)(p - fleet.points);
}

void
point_init(struct point *p, uint32_t number, uint16_t flags)
{
    link_init(&p->link);
    p->number = number;
    p->flags = flags;
    p->link.slow = (flags & POINT_SLOW) != 0;
    p->meter_ms = (uint32_t)(fleet.o->meter_every * 1000);
    p->meter_wh = (uint32_t)(fleet_chance() * 1e6);
    p->version = fleet.o->spoken == VERSIONS
        ? (uint8_t)((fleet.o->first + number) % VERSIONS)
        : (uint8_t)fleet.o->spoken;
    p->ready_next = p->ready_prev = WHEEL_NONE;
    p->last_call = flags & POINT_RIVAL ? 1u << 31 : 0;
}

/* --- timers -------------------------------------------------------------- */

static void
sooner(uint32_t *least, uint32_t due)
{
    if (due != 0 && due < *least)
        *least = due;
}

/* Sets a timer. An entry of the wheel that fires too early takes little time;
 * moving the entry at each CALL would take more. */
void
point_rearm(struct point *p)
{
    uint32_t least = UINT32_MAX;

    sooner(&least, p->connect_due);
    sooner(&least, p->call_due);
    sooner(&least, p->outbox_due);
    sooner(&least, p->heartbeat_due);
    sooner(&least, p->story_due);
    sooner(&least, p->mischief_due);
    if (least != UINT32_MAX && (p->timer.due == 0 || p->timer.due > least))
        wheel_set(&fleet_wheel, index_of(p), least);
}

/* --- the connection ------------------------------------------------------ */

static void
tried(struct point *p)
{
    if (p->flags & POINT_TRIED)
        return;
    p->flags |= POINT_TRIED;
    fleet.untried--;
}

static void
source_address(const struct point *p, struct sockaddr_in *from)
{
    /* Each process has its own range of addresses, from 127.1.0.1 on. */
    uint32_t per = (uint32_t)fleet.o->per_address;
    uint32_t blocks = (fleet.count + per - 1) / per + 1;
    uint32_t at = fleet.process * blocks + index_of(p) / per;

    *from = (struct sockaddr_in){.sin_family = AF_INET};
    from->sin_addr.s_addr = htonl(0x7f010001u + at % 0xfd0000u);
}

static void
connect_now(struct point *p)
{
    const struct upgrade_url *to = &fleet.o->target;
    struct sockaddr_in        from;
    bool bound = to->loopback && to->addr.ss_family == AF_INET;

    if (bound)
        source_address(p, &from);
    tally_add(fleet.tally, attempts, 1);
    /* A tick may be a little earlier than the time that it represents. */
    uint64_t now = clock_mono_ns();
    if (p->connect_ns == 0 || p->connect_ns > now)
        p->connect_ns = now;
    p->connect_due = fleet.tick + fleet_ticks(fleet.o->connect_timeout);
    if (!link_connect(&p->link, (const struct sockaddr *)&to->addr,
            to->addr_len, bound ? (const struct sockaddr *)&from : NULL,
            sizeof from)) {
        tally_add(fleet.tally, connect_failed, 1);
        if (errno == EMFILE || errno == EADDRNOTAVAIL || errno == ENOBUFS) {
            tally_add(fleet.tally, trouble, 1);
            fleet_complain("cannot make a connection: %s", strerror(errno));
        }
        tried(p);
        point_gone(p);
        return;
    }
    tally_add(fleet.tally, connecting, 1);
    point_rearm(p);
}

void
point_connect_at(struct point *p, uint32_t tick, uint64_t meant_ns)
{
    p->connect_due = tick;
    p->connect_ns = meant_ns;
    point_rearm(p);
}

static void
back_off(struct point *p, double least)
{
    double delay = fleet.o->backoff;

    for (unsigned i = 0; i < p->failures && delay < fleet.o->backoff_max; i++)
        delay *= 2;
    if (delay > fleet.o->backoff_max)
        delay = fleet.o->backoff_max;
    if (fleet.o->storming && p->failures == 0)
        delay = fleet.o->storm * fleet_chance();
    else
        delay *= 0.5 + fleet_chance();
    if (delay < least)
        delay = least * (1 + fleet_chance() / 2);
    if (p->failures < 30)
        p->failures++;
    point_connect_at(p, fleet.tick + fleet_ticks(delay), 0);
}

static void
gone(struct point *p, double least)
{
    fleet_unready(p);
    p->flags &= (uint16_t)~POINT_GARBLED;
    if (p->call != 0) {
        tally_add(fleet.tally, interrupted, 1);
        story_lost(p);
        point_call_over(p);
    }
    p->heartbeat_due = 0;
    p->mischief_due = 0;
    if (fleet.phase == FLEET_QUIT ||
        (fleet.phase == FLEET_DRAIN && p->outbox.count == 0)) {
        p->connect_due = 0;
        return;
    }
    back_off(p, least);
}

void
point_gone(struct point *p)
{
    gone(p, 0);
}

static void
uncount(struct point *p)
{
    if (p->flags & POINT_UP)
        tally_add(fleet.tally, connected, -1);
    else
        tally_add(fleet.tally, connecting, -1);
    p->flags &= (uint16_t)~POINT_UP;
}

void
point_drop(struct point *p, bool reset)
{
    if (p->link.state == LINK_DOWN)
        return;
    uncount(p);
    link_drop(&p->link, reset);
    point_gone(p);
}

int
point_abandon(struct point *p)
{
    ensure(p->link.state != LINK_DOWN);
    uncount(p);
    int fd = link_abandon(&p->link);
    point_gone(p);
    return fd;
}

void
point_quit(struct point *p)
{
    if (p->call != 0 && !p->call_kept) {
        tally_add(fleet.tally, missing, 1);
        point_call_over(p);
    }
    tally_add(fleet.tally, undelivered, p->outbox.count);
    if ((p->flags & POINT_TRIED) && !(p->flags & POINT_OPENED))
        tally_add(fleet.tally, unreached, 1);
    p->connect_due = 0;
    if (p->link.state == LINK_OPEN && !p->link.slow) {
        link_close(&p->link, 1000, "");
        p->connect_due = fleet.tick + fleet_ticks(CLOSE_PATIENCE_S);
        point_rearm(p);
    } else {
        point_drop(p, false);
    }
}

static void
on_request(struct link *l, struct buf *out)
{
    struct point          *p = (struct point *)(void *)l;
    const char            *identity = point_identity(p);
    const char            *password = p->key ? p->key : fleet.o->password;
    struct upgrade_request r = {
        .host = fleet.o->target.host,
        .path = fleet.o->target.path,
        .identity = identity,
        .subprotocols = fleet.o->subprotocol
            ? fleet.o->subprotocol
            : message_subprotocol((enum message_version)p->version),
        .user = password ? identity : NULL,
        .password = password,
        .password_len = password ? strlen(password) : 0,
        .headers = fleet.o->header_lines,
    };

    upgrade_write(out, &r);
}

/* Switches to the version that the server has chosen. */
static bool
speaks(struct point *p, const char *chosen)
{
    const char *offered = fleet.o->subprotocol;

    if (offered == NULL)
        return strcmp(chosen,
                   message_subprotocol((enum message_version)p->version)) == 0;
    for (unsigned v = 0; v < VERSIONS; v++)
        if (strcmp(chosen, message_subprotocol((enum message_version)v)) == 0 &&
            strstr(offered, chosen) != NULL) {
            p->version = (uint8_t)v;
            return true;
        }
    return offered[0] == '\0' && chosen[0] == '\0';
}

static void
on_open(struct link *l, const struct upgrade_answer *answer)
{
    struct point *p = (struct point *)(void *)l;
    uint64_t      now = clock_mono_ns();

    tally_add(fleet.tally, connecting, -1);
    tally_add(fleet.tally, connected, 1);
    tally_add(fleet.tally, opened, 1);
    histogram_add(&fleet.tally->connect, (now - p->connect_ns) / 1000u);
    if (!speaks(p, answer->subprotocol)) {
        tally_add(fleet.tally, bad_handshake, 1);
        fleet_complain("%s: subprotocol chosen: \"%s\"", point_identity(p),
            answer->subprotocol);
    }
    if (p->flags & POINT_OPENED)
        tally_add(fleet.tally, reconnects, 1);
    p->flags |= POINT_OPENED | POINT_UP;
    tried(p);
    p->connect_due = 0;
    if (p->flags & POINT_STORMED) {
        p->flags &= (uint16_t)~POINT_STORMED;
        fleet.unstormed--;
        uint64_t since = atomic_load(&fleet.shared->storm_ns);
        tally_set(fleet.tally, storm_us, (now - since) / 1000u);
    }
    if (fleet.o->idle)
        p->failures = 0;
    story_connected(p);
    mischief_connected(p);
    point_settle(p);
    point_rearm(p);
}

static void
on_down(struct link *l, enum link_end why, int code, const char *reason)
{
    struct point *p = (struct point *)(void *)l;
    struct tally *t = fleet.tally;
    bool          was_open = (p->flags & POINT_UP) != 0;

    uncount(p);
    tried(p);
    switch (why) {
    case LINK_END_REFUSED:
        tally_add(t, refused, 1);
        fleet_complain("%s: refused: %d %s", point_identity(p), code, reason);
        break;
    case LINK_END_HANDSHAKE:
        tally_add(t, bad_handshake, 1);
        fleet_complain("%s: %s", point_identity(p), reason);
        break;
    case LINK_END_PROTOCOL:
        tally_add(t, bad_frame, 1);
        fleet_complain("%s: %s", point_identity(p), reason);
        break;
    case LINK_END_CLOSED:
        tally_add(t, closed_by_server, 1);
        if (code == 1008)
            tally_add(t, replaced, 1);
        break;
    case LINK_END_CONNECT:
        tally_add(t, connect_failed, 1);
        break;
    case LINK_END_LOST:
        if (was_open)
            tally_add(t, lost, 1);
        else
            tally_add(t, connect_failed, 1);
        break;
    case LINK_END_BYE:
        break;
    }
    point_gone(p);
}

/* --- the clock ----------------------------------------------------------- */

static void
connect_fire(struct point *p)
{
    p->connect_due = 0;
    if (p->link.state == LINK_DOWN) {
        if (fleet.phase != FLEET_QUIT)
            connect_now(p);
        return;
    }
    if (p->link.state == LINK_CLOSING) {
        point_drop(p, false);
        return;
    }
    tally_add(fleet.tally, connect_failed, 1);
    tried(p);
    point_drop(p, true);
}

static void
power_cycle(struct point *p)
{
    p->flags &= (uint16_t) ~(POINT_RESET | POINT_BOOTED | POINT_STATED);
    p->wants = 0;
    p->failures = 0;
    if (p->link.state != LINK_DOWN)
        point_drop(p, false);
}

static bool
passed(uint32_t due)
{
    return due != 0 && due <= fleet.tick;
}

void
point_fire(uint32_t index)
{
    struct point *p = &fleet.points[index];

    if (passed(p->connect_due))
        connect_fire(p);
    if (passed(p->call_due))
        point_unanswered(p);
    if (passed(p->outbox_due))
        p->outbox_due = 0;
    if (passed(p->heartbeat_due)) {
        p->wants |= WANT_HEARTBEAT;
        p->heartbeat_due = fleet.tick +
            fleet_ticks(story_interval(p) * (0.95 + fleet_chance() / 10));
    }
    if (passed(p->story_due)) {
        p->story_due = 0;
        if (p->flags & POINT_RESET)
            power_cycle(p);
        else
            story_tick(p);
    }
    if (passed(p->mischief_due)) {
        p->mischief_due = 0;
        mischief_tick(p);
    }
    point_settle(p);
    point_rearm(p);
}

const struct link_ops point_ops = {
    .request = on_request,
    .open = on_open,
    .message = point_message,
    .down = on_down,
    .done = fleet_linked,
};
