/*
 * mischief: the errors that a charge point makes on purpose.
 *
 * The number of a charge point and the seed determine which error it makes.
 * Each error ends in a new connection, or in frames that a correct charge point
 * does not send. The gateway may handle these frames in any way, as long as all
 * other charge points are served.
 */
#include "point.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SLOW_TICKS 10u /* a slow reader reads this often, */
#define SLOW_BYTES 16u /* and this many bytes each time */

/* True for every n-th charge point, beginning at one that the seed chooses. The
 * share is exact in a small fleet, too. */
static bool
lot(uint32_t number, unsigned kind, double share)
{
    uint64_t x = (fleet.o->seed + kind) * 0x9e3779b97f4a7c15u;
    double   from = (double)(x >> 11) / 9007199254740992.0;
    double   part = share / 100;

    return floor((number + 1.0) * part + from) > floor(number * part + from);
}

bool
mischief_rival(uint32_t number)
{
    return lot(number, 4, fleet.o->takeover);
}

uint16_t
mischief_flags(uint32_t number)
{
    const struct options *o = fleet.o;
    unsigned              flags = 0;

    if (lot(number, 1, o->half_open))
        flags |= POINT_HALF_OPEN;
    if (lot(number, 2, o->flap))
        flags |= POINT_FLAP;
    if (lot(number, 3, o->slow_reader))
        flags |= POINT_SLOW;
    return (uint16_t)flags;
}

void
mischief_connected(struct point *p)
{
    if (p->flags & POINT_SLOW)
        p->mischief_due = fleet.tick + SLOW_TICKS;
    else if (p->flags & (POINT_FLAP | POINT_HALF_OPEN))
        p->mischief_due = fleet.tick +
            fleet_ticks(fleet.o->mischief_every * (0.5 + fleet_chance()));
}

void
mischief_tick(struct point *p)
{
    if (p->link.state != LINK_OPEN)
        return;
    if (p->flags & POINT_SLOW) {
        p->mischief_due = fleet.tick + SLOW_TICKS;
        link_read(&p->link, SLOW_BYTES);
        return;
    }
    if (fleet.phase >= FLEET_DRAIN)
        return;
    if ((p->flags & POINT_HALF_OPEN) &&
        (!(p->flags & POINT_FLAP) || fleet_chance() < 0.5)) {
        tally_add(fleet.tally, half_opened, 1);
        fleet_bury(point_abandon(p));
        /* As after a cable was pulled out and plugged in again: without
         * back-off. */
        point_connect_at(p, fleet.tick + 1, 0);
        return;
    }
    tally_add(fleet.tally, flapped, 1);
    point_drop(p, fleet_chance() < 0.5);
}

/* Text that is not valid OCPP-J; %u is replaced by a number. */
static const char *const texts[] = {
    "[2,\"g%u\",\"Heartbeat\",{}",
    "[2,\"g%u\",\"Heartbeat\",{}]]",
    "no JSON at all %u",
    "[2,\"g%u\"]",
    "[9,\"g%u\",{}]",
    "[3,\"g%u\",{}]",
    "[4,\"g%u\",\"GenericError\",\"\",{}]",
    "[2,\"g%u\",\"NoSuchAction\",{}]",
    "[2,\"g%u\",\"StatusNotification\",{\"connectorId\":\"one\"}]",
    "[2,\"g%u\",\"StartTransaction\",{}]",
    "[2,\"g%u.an.id.longer.than.thirty-six.characters\",\"Heartbeat\",{}]",
    "[2,%u,\"Heartbeat\",{}]",
    "[2,\"g%u\",\"Heartbeat\",[]]",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[%u",
    "{}",
    "[]",
    "",
};

/* Frames that break RFC 6455: first byte, masked, payload. */
static const struct frame {
    unsigned    flags;
    bool        masked;
    const char *payload;
} frames[] = {
    {0x82, true, "binary"},
    {0x81, false, "[2,\"g\",\"Heartbeat\",{}]"}, /* not masked */
    {0xc1, true, "[2,\"g\",\"Heartbeat\",{}]"},  /* RSV1 */
    {0x83, true, "reserved opcode"}, {0x80, true, "continues nothing"},
    {0x09, true, "a ping in fragments"}, {0x81, true, "not UTF-8: \xff\xfe"},
    {0x88, true, "\x03"},     /* close, half a code */
    {0x88, true, "\x03\xed"}, /* close 1005 */
};

void
mischief_garble(struct point *p)
{
    unsigned   count = sizeof texts / sizeof *texts;
    unsigned   hard = sizeof frames / sizeof *frames;
    struct buf out = BUF_INIT(4096);
    char       text[256];

    if (fleet.o->garbage <= 0 || fleet_chance() * 100 >= fleet.o->garbage)
        return;
    tally_add(fleet.tally, garbage, 1);
    p->flags |= POINT_GARBLED;
    unsigned which = (unsigned)(fleet_chance() * (count + hard));
    if (which < count) {
        /* All formats are those above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        int n = snprintf(text, sizeof text, texts[which], p->last_call);
#pragma GCC diagnostic pop
        lease_frame(&out, 0x81, true, text, (size_t)n);
    } else {
        const struct frame *f = &frames[which - count];
        lease_frame(&out, f->flags, f->masked, f->payload, strlen(f->payload));
    }
    link_send_raw(&p->link, out.p, out.len);
    buf_free(&out);
}
