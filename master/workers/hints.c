/* hints: notifies the workers of changes. See hints.h. */
#include "workers/hints.h"

#include <errno.h>

#include "base/master.h"
#include "log.h"
#include "workers/slot.h"
#include "workers/slot_private.h"
#include "workers/tls_keeper.h"

static bool frozen; /* no worker accepts connections */

static bool
send_passed(struct slot *s, struct channel_msg *m, int passed)
{
    if (passed < 0)
        return true;
    if (s->channel < 0) {
        errno = EPIPE;
        return false;
    }
    return channel_send_fd(s->channel, m, passed);
}

void
hints_send(struct slot *s)
{
    static const enum channel_type hints[] = {CHANNEL_config, CHANNEL_tls,
        CHANNEL_reopen, CHANNEL_freeze, CHANNEL_drain};

    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
        if (!(s->owed & 1u << hints[i]))
            continue;
        struct channel_msg m = {.type = hints[i]};
        if (hints[i] == CHANNEL_drain)
            m.arg = s->drain_ms;
        if (hints[i] == CHANNEL_freeze)
            m.arg = frozen;
        bool sent = hints[i] == CHANNEL_tls
            ? send_passed(s, &m, tls_keeper_bundle())
            : hints[i] == CHANNEL_reopen ? send_passed(s, &m, log_fd())
                                         : slot_send(s->n, &m, NULL, 0);
        if (!sent && errno == EAGAIN)
            return; /* the tick tries again */
        s->owed &= ~(1u << hints[i]);
    }
}

void
hints_notify_all(enum channel_type type)
{
    for (unsigned i = 0; i < master.slots; i++) {
        struct slot *s = slot_at(i);
        if (s->pid == 0)
            continue;
        s->owed |= 1u << type;
        hints_send(s);
    }
}

bool
hints_frozen(void)
{
    return frozen;
}

void
hints_freeze(bool on)
{
    frozen = on;
    hints_notify_all(CHANNEL_freeze);
}
