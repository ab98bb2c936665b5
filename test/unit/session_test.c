/* Counters of a connection that exceed a small integer: the 32-bit clock after
 * 49.7 days, and a count of more than 255 CALLs. */
#include "base/self.h"
#include "clock.h"
#include "session/deferred.h"
#include "session/session.h"
#include "session/verdicts.h"
#include "unit.h"

#define WRAP (UINT64_C(1) << 32) /* ms */

/* Makes the worker that old. Returns its age, which is a little higher. */
static uint64_t
worker_is(uint64_t ms)
{
    self.began_us = clock_mono_ns() / 1000u - ms * 1000u;
    self_read_clocks();
    return (self.now_us - self.began_us) / 1000u;
}

static void
the_age_of_a_session_does_not_wrap(void)
{
    static const uint64_t opened[] = {0, 5000, WRAP - 5000, WRAP - 1, WRAP,
        WRAP + 5000, 3 * WRAP - 5000, 255 * WRAP - 5000};
    static const uint64_t ages[] = {0, 1, 4000, 5000, 6000, WRAP - 1, WRAP,
        WRAP + 1, WRAP + 9000, 2 * WRAP, 100 * WRAP, 255 * WRAP};

    for (size_t i = 0; i < sizeof opened / sizeof opened[0]; i++)
        for (size_t k = 0; k < sizeof ages / sizeof ages[0]; k++) {
            struct conn c = {.state = CONN_OPEN};
            uint64_t    then = worker_is(opened[i]);
            c.opened_ms = self.now_ms;
            c.session.opened_era = self.now_era;
            uint64_t now = worker_is(opened[i] + ages[k]);
            if (now <
                then) /* on a slow machine time passes between the two calls */
                now = worker_is(then + ages[k]);
            CHECK_EQ(session_age_ms(&c), now - then);
            CHECK(now - then + 1000 > ages[k]);
        }
}

static void
unanswered_calls_are_counted_beyond_255(void)
{
    struct conn c = {.state = CONN_OPEN};

    self.frozen = true; /* no socket is watched */
    for (unsigned i = 1; i <= 600; i++) {
        deferred_hold(&c);
        CHECK_EQ(c.session.unanswered, i);
        CHECK_EQ((c.flags & CONN_PAUSED) != 0, i >= HELD_PER_CONN);
    }
    for (unsigned i = 600; i-- > 0;) {
        deferred_unhold(&c);
        CHECK_EQ(c.session.unanswered, i);
        CHECK_EQ((c.flags & CONN_PAUSED) != 0, i > HELD_PER_CONN / 2);
    }
}

/* 49.7 days later, a clock of 32 bits shows the same time. */
static void
a_verdict_does_not_become_valid_again(void)
{
    static const uint64_t ages[] = {
        0, 3600000 - 1, 3600000, WRAP, WRAP + 5000, 2 * WRAP + 1};
    static struct registry registry;

    self.registry = &registry;
    self.conf.answers_verdict_time = 3600000;
    for (size_t i = 0; i < sizeof ages / sizeof ages[0]; i++) {
        verdicts_put("CP", 2, "TAG", 3, "{}", 2);
        self.now_us += ages[i] * 1000;
        self.now_ms += (uint32_t)ages[i];
        CHECK_EQ(verdicts_get("CP", 2, "TAG", 3) != NULL, ages[i] < 3600000);
    }
}

int
main(void)
{
    a_verdict_does_not_become_valid_again();
    the_age_of_a_session_does_not_wrap();
    unanswered_calls_are_counted_beyond_255();
    return unit_done();
}
