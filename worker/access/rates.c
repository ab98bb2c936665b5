/* rates: how fast a connection may send. See rates.h. */
#include "access/rates.h"

#include "base/self.h"

/* The unit of time here is 64 us. A difference of two times is valid for 38
 * hours, which is longer than a connection can be silent (idle_timeout is at
 * most a day). */
#define UNIT_SHIFT 6
#define UNITS_S 15625u
#define AHEAD_MAX (120 * UNITS_S)

static uint32_t message_cost, message_ahead; /* units; cost 0: no limit */
static uint64_t byte_cost;                   /* units << 16 */
static uint32_t byte_ahead;

static uint32_t
units(uint64_t n, uint64_t rate)
{
    uint64_t u = n * UNITS_S / rate;

    return u < AHEAD_MAX ? (uint32_t)u : AHEAD_MAX;
}

void
rates_configure(void)
{
    const struct config *c = &self.conf;

    message_cost = byte_cost = 0;
    if (c->limits_message_rate != 0) {
        message_cost = units(1, c->limits_message_rate);
        if (message_cost == 0)
            message_cost = 1;
        message_ahead = units(c->limits_message_burst, c->limits_message_rate);
    }
    if (c->limits_byte_rate != 0) {
        byte_cost = ((uint64_t)UNITS_S << 16) / c->limits_byte_rate + 1;
        byte_ahead = units(c->limits_byte_burst, c->limits_byte_rate);
    }
}

static uint32_t
now_units(void)
{
    return (uint32_t)(self.now_us >> UNIT_SHIFT);
}

/* The units by which `until' is ahead of the clock, 0 if it is not. take() sets
 * no time further ahead than 2 * AHEAD_MAX, so a value further ahead was never
 * set, or is so old that the clock has wrapped. */
static uint32_t
ahead_of(uint32_t until)
{
    uint32_t ahead = until - now_units();

    return ahead > 2 * AHEAD_MAX ? 0 : ahead;
}

/* Advances the time by a cost. True if it is now ahead by more than is
   allowed. */
static bool
take(uint32_t *until, uint32_t cost, uint32_t may)
{
    uint32_t now = now_units();
    int32_t  ahead = (int32_t)ahead_of(*until);

    ahead += (int32_t)cost;
    if (ahead > (int32_t)(2 * AHEAD_MAX))
        ahead = (int32_t)(2 * AHEAD_MAX);
    *until = now + (uint32_t)ahead;
    return ahead > (int32_t)may;
}

static void
slow_down(struct conn *c)
{
    if (c->flags & CONN_SLOWED)
        return;
    STAT_INC(self.st, slowed);
    conn_slow(c, true);
}

void
rates_bytes(struct conn *c, size_t n)
{
    if (byte_cost != 0 &&
        take(&c->access.bytes_until, (uint32_t)((n * byte_cost) >> 16),
            byte_ahead))
        slow_down(c);
}

void
rates_message(struct conn *c)
{
    if (message_cost != 0 &&
        take(&c->access.messages_until, message_cost, message_ahead))
        slow_down(c);
}

bool
rates_check(struct conn *c)
{
    if (!(c->flags & CONN_SLOWED)) {
        if (c->access.slow_s > 0)
            c->access.slow_s--;
        return true;
    }
    if (c->access.slow_s < UINT8_MAX)
        c->access.slow_s++;
    /* A connection that is not read must not count as silent. */
    c->last_in_ms = self.now_ms;
    if ((message_cost == 0 ||
            ahead_of(c->access.messages_until) <= message_ahead) &&
        (byte_cost == 0 || ahead_of(c->access.bytes_until) <= byte_ahead))
        conn_slow(c, false);
    return self.conf.limits_rate_patience == 0 ||
        c->access.slow_s * 1000u < self.conf.limits_rate_patience;
}
