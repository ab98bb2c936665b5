/* when: moments as reports show them. See when.h. */
#include "base/when.h"

#include <inttypes.h>
#include <stdio.h>

#include "clock.h"

void
when_ago(struct buf *out, uint64_t now, uint64_t then)
{
    char text[CLOCK_DURATION_LEN];

    if (then == 0) {
        buf_adds(out, "never");
        return;
    }
    uint64_t age = now > then ? now - then : 0;
    if (age >= 2 * 86400)
        snprintf(text, sizeof text, "%" PRIu64 "d", age / 86400);
    else if (age >= 2 * 3600)
        snprintf(text, sizeof text, "%" PRIu64 "h", age / 3600);
    else if (age >= 2 * 60)
        snprintf(text, sizeof text, "%" PRIu64 "m", age / 60);
    else
        snprintf(text, sizeof text, "%" PRIu64 "s", age);
    buf_addf(out, "%s ago", text);
}

void
when_put(struct buf *out, uint64_t then)
{
    char text[CLOCK_RFC3339_LEN + 1];

    if (then == 0) {
        buf_adds(out, "never");
        return;
    }
    clock_rfc3339(text, then * 1000);
    buf_addf(out, "%.19sZ", text);
}
