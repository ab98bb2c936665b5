/* drain: closes all connections, evenly over a time. See drain.h. */
#include "drain.h"

#include "base/self.h"
#include "log.h"
#include "session/accept.h"
#include "session/handshake.h"
#include "session/session.h"

static uint32_t ends_ms; /* self.now_ms when the last connection is closed */
static uint32_t cursor;

void
drain_begin(uint64_t ms)
{
    uint32_t ends = self.now_ms + (uint32_t)ms;

    if (!self.draining) {
        log_info("draining %llu connections over %llu ms",
            (unsigned long long)stat_get(&self.st->connections),
            (unsigned long long)ms);
        accept_close();
        ends_ms = ends;
    } else if ((int32_t)(ends - ends_ms) < 0) {
        ends_ms = ends;
    }
    self.draining = true;
}

bool
drain_tick(void)
{
    uint64_t left = stat_get(&self.st->connections);
    int32_t  time = (int32_t)(ends_ms - self.now_ms);
    /* The number of connections to close in this tick, at one tick in 50 ms. */
    uint64_t quota = time <= 50 ? left : left * 50 / (uint32_t)time + 1;

    for (uint32_t looked = 0; quota > 0 && looked < conn_high(); looked++) {
        cursor = (cursor + 1) % conn_high();
        struct conn *c = conn_at(cursor);
        if (c->state == CONN_HANDSHAKE) {
            handshake_refuse(c, REFUSE_draining, 0, NULL);
            conn_settle(c);
        } else if (c->state == CONN_OPEN) {
            session_end(c, CLOSE_drained, NULL);
            conn_settle(c);
            quota--;
        }
    }
    return stat_get(&self.st->connections) == 0 &&
        stat_get(&self.st->handshaking) == 0 &&
        (stat_get(&self.st->closing) == 0 ||
            time < -(int32_t)self.conf.websocket_close_timeout);
}
