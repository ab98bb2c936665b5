/* The outcome of a command is reported to the master once, when its event is
 * durable. */
#include "../fuzz/standins.h"

#include <string.h>
#include <unistd.h>

#include "base/master_link.h"
#include "base/self.h"
#include "channel.h"
#include "config_read.h"
#include "session/calls_private.h"
#include "session/outcomes.h"
#include "unit.h"

struct self self;

static int master[2]; /* both ends of the channel */

void
self_read_clocks(void)
{
}

void
self_read_config(void)
{
    self.conf_version = shm_config_read(shm, &self.conf);
}

static void
setup(void)
{
    static struct config conf;
    struct buf           errors = BUF_INIT(4096);
    int                  fd;

    CHECK(config_read_text(&conf, "f", "", 0, NULL, 0, &errors));
    shm = shm_make(&conf, 2, "n1", &fd);
    close(fd);
    self.shm = shm;
    self.mem = shm_worker(shm, 0);
    self.st = &self.mem->stats;
    self.registry = shm_registry(shm);
    self_read_config();
    self.loop = ev_default_loop(0);
    CHECK(channel_pair(master));
    master_link_open(master[1]);
}

/* The number of reports of this request that the master has received since the
 * last call. */
static unsigned
reports(uint64_t request)
{
    static char        body[CHANNEL_BODY_MAX + 1];
    struct channel_msg m;
    unsigned           n = 0;

    ev_run(self.loop, EVRUN_NOWAIT);
    while (channel_recv(master[0], &m, body) == 1)
        n += m.type == CHANNEL_done && m.id == request &&
            m.arg == OUTCOME_timeout;
    return n;
}

static void
end_command(uint64_t request)
{
    struct call *k = calls_make(&(struct call_request){.request = request,
        .command_id = "c1",
        .identity = "CP1",
        .action = "ClearCache",
        .payload = "{}"});

    CHECK(k != NULL);
    outcomes_finish_plain(k, OUTCOME_timeout, NULL, "");
}

static void
while_its_event_is_not_durable(void)
{
    end_command(7);
    CHECK(outcomes_repeat(7, "c1"));
    CHECK_EQ(reports(7), 0);
    commit();
    CHECK_EQ(reports(7), 1);
}

static void
while_the_journal_refuses_its_event(void)
{
    refusing = true;
    end_command(8);
    CHECK(outcomes_repeat(8, "c1"));
    commit();
    CHECK_EQ(reports(8), 0);
    CHECK(outcomes_retry());
    refusing = false;
    CHECK(!outcomes_retry());
    CHECK(outcomes_repeat(8, "c1"));
    CHECK_EQ(reports(8), 0);
    commit();
    CHECK_EQ(reports(8), 1);
}

/* The report may have been sent to a master that has died. */
static void
when_it_is_asked_for_later(void)
{
    CHECK(outcomes_repeat(7, "c1"));
    CHECK_EQ(reports(7), 1);
    CHECK(!outcomes_repeat(9, "unknown"));
    CHECK_EQ(reports(9), 0);
}

int
main(void)
{
    setup();
    while_its_event_is_not_durable();
    while_the_journal_refuses_its_event();
    when_it_is_asked_for_later();
    return unit_done();
}
