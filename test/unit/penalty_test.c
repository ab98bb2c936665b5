/* Connections of one address are counted, and failures cause delays. */
#include "address_count.h"
#include "config_read.h"
#include "fields.h"
#include "penalty.h"
#include "shm.h"
#include "unit.h"

#include <stdlib.h>

static void
a_crowd_is_counted_over_workers(void)
{
    struct config c;
    struct buf    errors = BUF_INIT(4096);
    int           fd;
    uint64_t      a[2] = {0, 1}, b[2] = {0, 2};

    CHECK(config_read_text(&c, "f", "", 0, NULL, 0, &errors));
    struct shm *s = shm_make(&c, 3, "n", &fd);
    CHECK(s != NULL);
    if (s == NULL)
        return;
    struct address_count *w = shm_crowd(s);
    for (unsigned i = 0; i < 3; i++)
        shm_worker(s, i)->pid = 1;
    struct address_count_place pa = address_count_find(w, 0, a),
                               pb = address_count_find(w, 0, b);
    CHECK(memcmp(&pa, &pb, sizeof pa) != 0);
    for (unsigned i = 0; i < 30; i++)
        address_count_enter(w, i % 3, pa);
    address_count_enter(w, 0, pb);
    CHECK_EQ(shm_crowd_count(s, pa), 30);
    CHECK_EQ(shm_crowd_count(s, pb), 1);
    address_count_leave(w, 0, pa);
    CHECK_EQ(shm_crowd_count(s, pa), 29);
    shm_worker(s, 1)->pid = 0; /* the worker is dead: its ten connections are
                                  not counted any more */
    CHECK_EQ(shm_crowd_count(s, pa), 19);
    address_count_clear(w, 1);
    shm_worker(s, 1)->pid = 2;
    CHECK_EQ(shm_crowd_count(s, pa), 19);

    /* The count is never too low, and rarely too high, even with many other
     * addresses. */
    struct address_count_place *all = calloc(20000, sizeof *all);
    uint64_t                    most = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t x[2] = {i, i * 77};
        all[i] = address_count_find(w, 0, x);
        address_count_enter(w, 2, all[i]);
    }
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t n = shm_crowd_count(s, all[i]);
        if (n > most)
            most = n;
        if (n < 1)
            CHECK(!"counted");
    }
    CHECK(most < 20);
    printf("20000 addresses, one connection each: counted as %d at most\n",
        (int)most);
    free(all);
    buf_free(&errors);
}

/* A row number from another process is checked: it is a row of this table, or
 * ignored. */
static void
penalties_that_arrive(void)
{
    static const struct {
        const char *line;
        int         at; /* the row that is changed; -1: none */
    } lines[] = {
        {"penalties rows=%u key=1:2", -1},
        {"penalty row=0 tag=1 strikes=1", 0},
        {"penalty row=%u tag=1 strikes=1", -1},
        {"penalty row=7 tag=0 strikes=1", -1},
        {"penalty tag=1 strikes=1", -1},
        {"penalty row=4294967295 tag=1 strikes=1", -1},
    };
    enum { BEHIND = 64 }; /* rows of memory after the table */
    struct penalty *t = calloc(1, penalty_size(1000) + BEHIND * 8);

    penalty_init(t, 1000);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char          text[100];
        struct fields f;
        UNIT_CASE(lines[i].line);
        int n = snprintf(text, sizeof text, lines[i].line, t->rows);
        CHECK(fields_parse(&f, text, (size_t)n));
        CHECK(penalty_read(t, &f));
        for (uint32_t row = 0; row < t->rows + BEHIND; row++) {
            CHECK_EQ(t->row[row] != 0, (int)row == lines[i].at);
            t->row[row] = 0;
        }
    }
    UNIT_CASE("");
    free(t);
}

static void
waits_double_and_end(void)
{
    struct penalty *t = calloc(1, penalty_size(1000));
    uint32_t        now = 1000, wait = 0;

    penalty_init(t, 1000);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(penalty_count(t, 1, "CP1", 3, now, 10, 60), 0);
    CHECK_EQ(penalty_count(t, 1, "CP1", 3, now, 10, 60), 5);
    CHECK_EQ(penalty_waits(t, 1, "CP1", 3, now), 5);
    CHECK_EQ(
        penalty_waits(t, 2, "CP1", 3, now), 0); /* not the same kind of name */
    CHECK_EQ(penalty_count(t, 1, "CP1", 3, now + 3, 10, 60),
        2); /* the identity has a penalty that has ended */
    now += 5;
    CHECK_EQ(penalty_waits(t, 1, "CP1", 3, now), 0);
    for (uint32_t want = 10; want <= 320; want *= 2) {
        for (int i = 0; i < 11; i++)
            wait = penalty_count(t, 1, "CP1", 3, now, 10, 60);
        CHECK_EQ(wait, want < 60 ? want : 60);
        now += wait;
    }
    /* After an hour without failures all failures are forgotten. */
    now += PENALTY_FORGET_S;
    for (int i = 0; i < 11; i++)
        wait = penalty_count(t, 1, "CP1", 3, now, 10, 60);
    CHECK_EQ(wait, 5);
    /* Ten failures per minute are within the limit, for any length of time. */
    for (int m = 0; m < 100; m++)
        for (int i = 0; i < 10; i++)
            CHECK_EQ(penalty_count(
                         t, 1, "CP2", 3, 10000u + 60u * (unsigned)m, 10, 60),
                0);
    /* Each minute within the limit takes back one increase: the next delay is
     * as long as the last one, and after two such minutes half as long. */
    uint32_t t0 = 100000;
    for (int quiet = 0; quiet <= 2; quiet++) {
        static const uint32_t want[] = {20, 10, 5};
        char                  name[] = "Q0";
        name[1] = (char)('0' + quiet);
        uint32_t at = t0;
        for (int wave = 0; wave < 2; wave++) { /* delays of 5 s and 10 s */
            for (int i = 0; i < 11; i++)
                wait = penalty_count(t, 1, name, 2, at, 10, 60);
            at += wait;
        }
        CHECK_EQ(wait, 10);
        for (int q = 0; q < quiet; q++) {
            penalty_count(t, 1, name, 2, at, 10, 60);
            at += 2 * PENALTY_WINDOW_S;
        }
        for (int i = 0; i < 11; i++)
            wait = penalty_count(t, 1, name, 2, at, 10, 60);
        CHECK_EQ(wait, want[quiet]);
    }
    /* The end of a delay that the table has never set is ignored. */
    for (uint32_t i = 0; i < t->rows; i++)
        t->row[i] |= UINT32_MAX;
    CHECK_EQ(penalty_waits(t, 1, "CP1", 3, now), 0);
    CHECK_EQ(penalty_count(t, 1, "CP1", 3, now, 10, 60), 0);
    free(t);
}

int
main(void)
{
    a_crowd_is_counted_over_workers();
    penalties_that_arrive();
    waits_double_and_end();
    return unit_done();
}
