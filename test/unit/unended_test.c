/* unended: the sessions whose ends are missing in the journals of several
 * slots.
 */
#include "session/unended.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

enum { OWN, OTHER };
#define BEGINS "charge_point.connected"
#define ENDS "charge_point.disconnected"
#define GOES_ON "transaction.started"

static uint64_t number;
static char     left[256];

static void
line(int where, const char *type, uint64_t generation)
{
    char text[256];

    number++;
    int n = snprintf(text, sizeof text,
        "{\"eventId\":\"%016llx-n\",\"eventType\":\"%s\",\"chargePointId\":"
        "\"CP\",\"generation\":%llu,\"payload\":{\"x\":1}}",
        (unsigned long long)number, type, (unsigned long long)generation);
    (where == OWN ? unended_own : unended_other)(number, text, (size_t)n);
}

static enum unended_next
list(struct unended *u)
{
    size_t n = strlen(left);

    snprintf(left + n, sizeof left - n, "%s%llu", n > 0 ? " " : "",
        (unsigned long long)u->high);
    return UNENDED_FORGET;
}

/* The highest generations of the sessions without an end. */
static const char *
rest(void)
{
    left[0] = '\0';
    unended_settle();
    unended_each(list);
    CHECK_EQ(unended_count(), 0);
    return left;
}

static void
one_journal(void)
{
    line(OWN, BEGINS, 10);
    CHECK_STR(rest(), "10");

    line(OWN, BEGINS, 10);
    line(OWN, GOES_ON, 10);
    line(OWN, ENDS, 10);
    line(OWN, GOES_ON, 10); /* an answer of the platform */
    CHECK_STR(rest(), "");

    /* The next session begins before the end of the former one, which may be
     * lost. */
    line(OWN, BEGINS, 10);
    line(OWN, BEGINS, 20);
    line(OWN, ENDS, 10);
    CHECK_STR(rest(), "20");
    line(OWN, BEGINS, 10);
    line(OWN, BEGINS, 20);
    line(OWN, ENDS, 20);
    CHECK_STR(rest(), "10");

    line(OWN, BEGINS, 10);
    line(OWN, ENDS, 10);
    line(OWN, BEGINS, 20);
    line(OWN, ENDS, 20);
    line(OWN, GOES_ON, 10);
    line(OWN, GOES_ON, 20);
    CHECK_STR(rest(), "");
}

static void
a_session_that_was_raised(void)
{
    static const uint64_t ends[] = {10, 15, 17};

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        line(OWN, BEGINS, 10);
        line(OWN, GOES_ON, 15);
        line(OWN, ENDS, ends[i]);
        CHECK_STR(rest(), "");
    }
    line(OWN, BEGINS, 10);
    line(OWN, GOES_ON, 15);
    CHECK_STR(rest(), "15");

    /* The session has moved here, where its generation was raised. Its end has
     * the first generation, and is in either journal. */
    for (int where = OWN; where <= OTHER; where++) {
        line(OWN, GOES_ON, 15);
        if (where == OWN)
            line(OWN, ENDS, 10);
        line(OTHER, BEGINS, 10);
        if (where == OTHER)
            line(OTHER, ENDS, 10);
        CHECK_STR(rest(), "");
    }
    /* That was the end of the former session. */
    line(OWN, GOES_ON, 15);
    line(OTHER, BEGINS, 5);
    line(OTHER, ENDS, 5);
    line(OTHER, BEGINS, 10);
    CHECK_STR(rest(), "15");
    line(OWN, GOES_ON, 15);
    line(OWN, ENDS, 5);
    line(OTHER, BEGINS, 10);
    line(OTHER, BEGINS, 5);
    CHECK_STR(rest(), "15");
    line(OWN, GOES_ON, 10);
    line(OWN, GOES_ON, 15);
    line(OTHER, BEGINS, 5);
    line(OTHER, ENDS, 5);
    line(OTHER, BEGINS, 10);
    CHECK_STR(rest(), "15");
}

static void
a_session_that_has_moved(void)
{
    line(OWN, BEGINS, 10);
    line(OTHER, GOES_ON, 10);
    CHECK_STR(rest(), "");

    /* The other journal has an older event, so the session has moved from
     * there. */
    number = 100;
    line(OWN, BEGINS, 10);
    line(OWN, GOES_ON, 10);
    number = 50;
    line(OTHER, GOES_ON, 10);
    number = 200;
    CHECK_STR(rest(), "10");

    /* A higher generation in the other journal is that of the next session or
     * of this one, in whichever order the journals are read. */
    line(OWN, BEGINS, 10);
    line(OTHER, BEGINS, 20);
    line(OTHER, GOES_ON, 20);
    line(OTHER, ENDS, 20);
    CHECK_STR(rest(), "10");
    line(OWN, BEGINS, 10);
    line(OTHER, GOES_ON, 25);
    line(OTHER, ENDS, 25);
    line(OTHER, BEGINS, 20);
    CHECK_STR(rest(), "10");
    line(OWN, BEGINS, 10);
    line(OTHER, GOES_ON, 25);
    CHECK_STR(rest(), "");
}

/* This journal has a session that ended elsewhere, and the next one, which
 * began elsewhere and has moved here. */
static void
the_next_session_has_moved_here(void)
{
    static const int orders[][2] = {{0, 1}, {1, 0}};

    for (size_t i = 0; i < 2; i++) {
        for (int ended = 0; ended < 2; ended++) {
            number = 100;
            line(OWN, BEGINS, 10);
            line(OWN, GOES_ON, 20);
            line(OWN, GOES_ON, 21);
            number = 50;
            for (size_t k = 0; k < 2; k++) {
                if (orders[i][k] == 0)
                    line(OTHER, ENDS, 10);
                else
                    line(OTHER, BEGINS, 20);
                if (k == 1 && ended)
                    line(OTHER, ENDS, 21);
            }
            CHECK_STR(rest(), ended ? "" : "21");
        }
    }
    number = 100;
    line(OWN, BEGINS, 10);
    line(OWN, GOES_ON, 20);
    number = 50;
    line(OTHER, BEGINS, 20);
    CHECK_STR(rest(), "10 20");
}

/* The same, but this journal has another session between the two. */
static void
what_has_moved_here_ends_once(void)
{
    number = 100;
    line(OWN, BEGINS, 10);
    line(OWN, BEGINS, 15);
    line(OWN, ENDS, 15);
    line(OWN, GOES_ON, 20);
    line(OWN, ENDS, 20);
    line(OWN, GOES_ON, 20); /* an answer of the platform */
    number = 50;
    line(OTHER, ENDS, 10);
    line(OTHER, BEGINS, 20);
    CHECK_STR(rest(), "");
}

static void
the_newest_is_found(void)
{
    line(OWN, BEGINS, 10);
    line(OWN, GOES_ON, 12);
    line(OWN, BEGINS, 20);
    line(OWN, ENDS, 20);
    CHECK(unended_find("\"CP\"", 4, 21) == NULL);
    CHECK(unended_find("\"CP\"", 4, 20)->ended);
    CHECK(unended_find("\"OTHER\"", 7, 1) == NULL);
    struct unended *u = unended_find("\"CP\"", 4, 11);
    CHECK(u != NULL && u->ended && u->first == 20);
    unended_forget(u);
    u = unended_find("\"CP\"", 4, 11);
    CHECK(u != NULL && !u->ended && u->high == 12);
    CHECK_STR(rest(), "12");
}

int
main(void)
{
    one_journal();
    a_session_that_was_raised();
    a_session_that_has_moved();
    the_next_session_has_moved_here();
    what_has_moved_here_ends_once();
    the_newest_is_found();
    return unit_done();
}
