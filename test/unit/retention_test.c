/* Which segments of the journal are removed, and by which clock. */
#include "journal_fix.h"

#include <sys/wait.h>

#include "journal/retention.h"
#include "journal/segment_writer.h"
#include "log.h"

void
up_committed(uint64_t number)
{
    (void)number;
}

static void
touch(unsigned slot, uint64_t first, unsigned hours_old)
{
    char            name[JOURNAL_NAME_LEN + 1], path[200];
    struct timespec t[2] = {{0}};

    journal_line_file_name(name, slot, first);
    snprintf(path, sizeof path, "%s/%s", fix_files, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0640);
    t[0].tv_sec = t[1].tv_sec =
        (time_t)(clock_wall_ms() / 1000) - 3600 * (time_t)hours_old;
    futimens(fd, t);
    close(fd);
}

/* Ticks until there are n segments. Returns false if that takes too long. */
static bool
shrinks_to(size_t n)
{
    struct journal_dir_list list;
    size_t                  have = SIZE_MAX;

    for (int i = 0; i < 3000 && have != n; i++) {
        journal_tick();
        ev_run(fix_loop, EVRUN_NOWAIT);
        usleep(1000);
        have = fix_count(&list);
        free(list.v);
    }
    return have == n;
}

static void
retention(void)
{
    struct journal_dir_list list;

    fix_setup(2);
    fix_conf.journal_retention = 2 * 3600 * 1000;
    CHECK(fix_open(1, NULL)); /* this makes the directory */
    journal_close();
    for (uint64_t i = 1; i <= 20; i++)
        touch(0, i, i <= 12 ? 5 : 1);
    for (uint64_t i = 1; i <= 3; i++)
        touch(
            1, i, 5); /* belongs to another worker, which keeps or removes it */
    for (uint64_t i = 1; i <= 3; i++)
        touch(7, i,
            i <= 2 ? 5 : 1); /* belongs to a slot that has no worker any more */
    touch(8, 1, 5); /* the only one of such a slot, and not shipped yet */
    CHECK(fix_open(0, NULL));
    journal_keep(0, 4);
    journal_keep(8, 1);
    CHECK(fix_wait(fix_append(100), 10000));
    /* slot 0: 3 of 12 old ones, because number 4 is still needed; slot 7: 2 old
     * ones. The empty newest one was removed when the journal was opened. */
    CHECK(shrinks_to(20 - 1 - 3 + 1 + 3 + 1 + 1));
    journal_keep(0, UINT64_MAX);
    fix_conf
        .journal_retention--; /* a change of the knob has an effect at once */
    CHECK(shrinks_to(20 - 1 - 12 + 1 + 3 + 1 + 1));
    /* The segment that is being written stays, however old it is. */
    fix_conf.journal_retention = 0;
    CHECK(shrinks_to(1 + 3 + 1));
    CHECK_EQ(fix_count(&list), 5);
    CHECK_EQ(list.v[0].slot, 0);
    CHECK_EQ(list.v[1].slot, 1);
    /* A segment that is still needed is not removed either. */
    CHECK_EQ(list.v[4].slot, 8);
    free(list.v);
    journal_keep(8, UINT64_MAX);
    CHECK(shrinks_to(1 + 3));
    journal_close();
    fix_teardown();
}

/* The clock by which ages are counted, if the wall clock is set. In hours. */
static void
retention_clock(void)
{
    const uint64_t         h = 3600 * 1000, wall = 500000 * h;
    struct retention_clock k = {0};
    int64_t                step;
    uint64_t               m = 7 * h;

    CHECK_EQ(retention_now(&k, wall, m, wall - 1000, &step), wall);
    CHECK_EQ(retention_now(&k, wall + h, m + h, 0, &step), wall + h);
    CHECK_EQ(step, 0);
    /* Eight days ahead: the change is reported once and ignored. */
    const uint64_t ahead = 8 * 24 * h;
    CHECK_EQ(retention_now(&k, wall + 2 * h + ahead, m + 2 * h, 0, &step),
        wall + 2 * h);
    CHECK_EQ(step, ahead);
    CHECK_EQ(retention_now(&k, wall + 3 * h + ahead, m + 3 * h, 0, &step),
        wall + 3 * h);
    CHECK_EQ(step, 0);
    /* The wall clock is set back: ages are as if it had never changed. */
    CHECK_EQ(
        retention_now(&k, wall + 4 * h, m + 4 * h, 0, &step), wall + 4 * h);
    CHECK_EQ(step, 0);
    /* A change that lasts for a day is accepted. */
    CHECK_EQ(retention_now(&k, wall + 5 * h + ahead, m + 5 * h, 0, &step),
        wall + 5 * h);
    CHECK_EQ(retention_now(&k, wall + 28 * h + ahead, m + 28 * h, 0, &step),
        wall + 28 * h);
    CHECK_EQ(retention_now(&k, wall + 29 * h + ahead, m + 29 * h, 0, &step),
        wall + 29 * h + ahead);
    /* If the clock is set back again, that is accepted at once, because no file
     * may seem older than it is. */
    CHECK_EQ(
        retention_now(&k, wall + 30 * h, m + 30 * h, 0, &step), wall + 30 * h);
    CHECK(step < 0);
    /* The daemon starts while the wall clock is ahead: the time of the newest
     * write is used. */
    k = (struct retention_clock){0};
    CHECK_EQ(retention_now(&k, wall + ahead, m, wall, &step), wall);
    CHECK_EQ(step, ahead);
    /* An empty journal, or a journal whose newest write is an hour old. */
    k = (struct retention_clock){0};
    CHECK_EQ(retention_now(&k, wall, m, 0, &step), wall);
    k = (struct retention_clock){0};
    CHECK_EQ(retention_now(&k, wall, m, wall - h, &step), wall);
}

/* A worker starts while the wall clock is ahead of the newest write. The time
 * of that write is used as the former clock, and the segments seem younger by
 * as much. This runs in a child and before any other test, because a process
 * sets its clock once. */
static void
retention_clock_at_start(void)
{
    const uint64_t hour = 3600 * 1000;

    UNIT_CASE("the clock is ahead at the start");
    fix_setup(1);
    CHECK_EQ(mkdir(fix_files, 0700), 0);
    touch(0, 1, 110);
    touch(0, 2, 104);
    touch(0, 3, 100);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct tail t = {.fd = -1, .slot = 0};
        t.dir_fd = open(fix_files, O_RDONLY | O_DIRECTORY);
        struct retention_done done = {0};
        unsigned              none = retention_run(&t, 1, 11 * hour, 9, &done);
        int64_t               step = done.step_ms;
        unsigned              one = retention_run(&t, 1, 7 * hour, 9, &done);
        _exit(none != 0 ? 1 : one != 1 ? 2 : step < 99 * (int64_t)hour ? 3 : 0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_EQ(status, 0);
    fix_teardown();
    UNIT_CASE("");
}

int
main(void)
{
    static const _Atomic int quiet = -1;

    log_level_at(&quiet);
    retention_clock_at_start();
    retention();
    retention_clock();
    return unit_done();
}
