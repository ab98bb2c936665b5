/* registry_starts: StartTransactions that are sent again get the same answer.
 */
#include <stdlib.h>

#include "registry_fix.h"

static size_t
simple(char out[REGISTRY_ANSWER_MAX], int32_t id, const char *status)
{
    return (size_t)snprintf(out, REGISTRY_ANSWER_MAX,
        "{\"transactionId\":%d,\"idTagInfo\":{\"status\":\"%s\"}}", id, status);
}

static void
know(struct registry *r, uint32_t e, const uint64_t fp[2], uint64_t number,
    int32_t id)
{
    char   answer[REGISTRY_ANSWER_MAX];
    size_t len = simple(answer, id, "Accepted");

    registry_start_know(r, e, REGISTRY_START, fp, number, id, answer, len);
}

static void
recover(struct registry *r, uint32_t e, const uint64_t fp[2], uint64_t number,
    int32_t id, bool add)
{
    char   answer[REGISTRY_ANSWER_MAX];
    size_t len = simple(answer, id, "Accepted");

    registry_start_recover(
        r, e, REGISTRY_START, fp, number, id, answer, len, add);
}

#define PRINTS (REGISTRY_STARTS + 4)

static void
make_prints(uint64_t fp[PRINTS][2])
{
    for (unsigned i = 0; i < PRINTS; i++) {
        fp[i][0] = i + 1;
        fp[i][1] = (uint64_t)(i + 1) << 56 | 99;
    }
}

static enum registry_start_state
state(struct registry *r, uint32_t e, const uint64_t fp[2])
{
    struct registry_start s;

    return registry_start_find(r, e, fp, &s);
}

static void
remembers_starts(void)
{
    struct registry      *r = fix_registry(4);
    uint32_t              e = registry_find(r, "CP1", 3, true);
    struct registry_start s;
    uint64_t              fp[PRINTS][2];
    char                  answer[REGISTRY_ANSWER_MAX];

    make_prints(fp);
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_UNKNOWN);
    UNIT_CASE("asked, written, durable");
    registry_start_ask(r, e, REGISTRY_START, fp[0], 3, 1000);
    CHECK_EQ(registry_start_find(r, e, fp[0], &s), REGISTRY_START_ASKED);
    CHECK(s.slot == 3 && s.number == 1000);
    size_t len = simple(answer, INT32_MIN, "Blocked");
    registry_start_draft(
        r, e, REGISTRY_START, fp[0], 255, 1001, INT32_MIN, answer, len);
    CHECK_EQ(registry_start_find(r, e, fp[0], &s), REGISTRY_START_DRAFT);
    CHECK(s.slot == 255 && s.number == 1001 && s.len == len &&
        memcmp(s.answer, answer, len) == 0);
    registry_start_know(
        r, e, REGISTRY_START, fp[0], 1001, INT32_MIN, answer, len);
    CHECK_EQ(registry_start_find(r, e, fp[0], &s), REGISTRY_START_KNOWN);
    CHECK(s.len == len && memcmp(s.answer, answer, len) == 0);

    UNIT_CASE("the newest ones are kept");
    for (unsigned i = 1; i < REGISTRY_STARTS; i++)
        know(r, e, fp[i], 1001 + i, (int32_t)i);
    know(
        r, e, fp[1], 1002, 1); /* the same start again takes no further place */
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_KNOWN);
    registry_start_ask(r, e, REGISTRY_START, fp[REGISTRY_STARTS], 0, 2000);
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_UNKNOWN);
    CHECK_EQ(state(r, e, fp[1]), REGISTRY_START_KNOWN);
    know(r, e, fp[0], 1, 1); /* the oldest */
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_UNKNOWN);

    UNIT_CASE("starts that were given up are forgotten, known ones are not");
    registry_start_drop(r, e, fp[REGISTRY_STARTS], 1999);
    CHECK_EQ(state(r, e, fp[REGISTRY_STARTS]), REGISTRY_START_ASKED);
    registry_start_drop(r, e, fp[REGISTRY_STARTS], 2000);
    CHECK_EQ(state(r, e, fp[REGISTRY_STARTS]), REGISTRY_START_UNKNOWN);
    registry_start_drop(r, e, fp[1], 1002);
    CHECK_EQ(state(r, e, fp[1]), REGISTRY_START_KNOWN);
    UNIT_CASE("");
}

/* Each answer of the platform is repeated without changes. */
static void
keeps_any_answer(void)
{
    static const char *const answers[] = {"{}",
        "{\"transactionId\": 7,\"idTagInfo\":{\"status\":\"Accepted\"}}",
        "{\"idTagInfo\":{\"status\":\"Accepted\"},\"transactionId\":7}",
        "{\"transactionId\":7,\"idTagInfo\":{\"status\":\"ConcurrentTx\"}}",
        "{\"transactionId\":7,\"idTagInfo\":{\"status\":\"Invalid\","
        "\"expiryDate\":\"2026-01-31T12:00:00.000+01:00\","
        "\"parentIdTag\":\"12345678901234567890\"}}"};
    struct registry         *r = fix_registry(4);
    uint32_t                 e = registry_find(r, "CP1", 3, true);
    uint64_t                 fp[PRINTS][2];
    struct registry_start    s;
    char                     largest[REGISTRY_ANSWER_MAX + 1];

    make_prints(fp);
    for (unsigned i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        size_t n = strlen(answers[i]);
        registry_start_know(
            r, e, REGISTRY_START, fp[i], 10 + i, 7, answers[i], n);
        for (unsigned k = i > 3 ? i - 3 : 0; k <= i; k++) {
            CHECK_EQ(
                registry_start_find(r, e, fp[k], &s), REGISTRY_START_KNOWN);
            CHECK(s.len == strlen(answers[k]) &&
                memcmp(s.answer, answers[k], s.len) == 0);
        }
    }
    memset(largest, 'x', sizeof largest);
    registry_start_know(
        r, e, REGISTRY_START, fp[6], 50, 7, largest, REGISTRY_ANSWER_MAX);
    CHECK_EQ(registry_start_find(r, e, fp[6], &s), REGISTRY_START_KNOWN);
    CHECK(memcmp(s.answer, largest, REGISTRY_ANSWER_MAX) == 0);
    registry_start_know(
        r, e, REGISTRY_START, fp[6], 50, 7, largest, REGISTRY_ANSWER_MAX + 1);
    CHECK_EQ(state(r, e, fp[6]), REGISTRY_START_UNKNOWN);
}

/* The usual answers to events of 2.x take no memory for their text. */
static void
keeps_answers_to_events(void)
{
    static const struct {
        const char *text;
        bool        plain;
    } answers[] = {{"{}", true},
        {"{\"idTokenInfo\":{\"status\":\"Accepted\"}}", true},
        {"{\"idTokenInfo\":{\"status\":\"Unknown\"}}", true},
        {"{\"idTokenInfo\":{\"status\":\"NotAtThisLocation\"}}", true},
        {"{\"idTokenInfo\":{\"status\":\"\"}}", false},
        {"{\"idTokenInfo\":{\"status\":\"accepted\"}}", false},
        {"{\"idTokenInfo\":{\"status\":\"Accepted\"}", false},
        {"{\"idTokenInfo\":{\"status\":\"Accepted\"},\"totalCost\":0}", false},
        {"{ }", false}};
    struct registry                     *r = fix_registry(4);
    static const struct registry_answers none;
    struct registry_start                s;
    uint64_t                             fp[PRINTS][2];

    make_prints(fp);
    for (unsigned i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        uint32_t e = registry_find(r, "CP1", 3, true);
        size_t   n = strlen(answers[i].text);
        UNIT_CASE(answers[i].text);
        for (unsigned k = 0; k < REGISTRY_STARTS; k++) {
            registry_start_draft(
                r, e, REGISTRY_START, fp[k], 3, 10 + k, 0, answers[i].text, n);
            CHECK_EQ(
                registry_start_find(r, e, fp[k], &s), REGISTRY_START_DRAFT);
            CHECK(s.slot == 3 && s.number == 10 + k);
            registry_start_know(
                r, e, REGISTRY_START, fp[k], 10 + k, 0, answers[i].text, n);
            CHECK_EQ(
                registry_start_find(r, e, fp[k], &s), REGISTRY_START_KNOWN);
            CHECK(s.len == n && memcmp(s.answer, answers[i].text, n) == 0);
        }
        CHECK_EQ(memcmp(registry_answers_at(r, e), &none, sizeof none) == 0,
            answers[i].plain);
        /* A start of 2.x, which a StopTransaction of 1.6 does not end. */
        registry_start_stop(r, e, 1, 1000);
        CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_KNOWN);
        memset(registry_answers_at(r, e), 0, sizeof none);
        registry_starts_clear(r, e);
    }
    UNIT_CASE("");
}

static void
forgets_what_was_stopped(void)
{
    struct registry *r = fix_registry(4);
    uint32_t         e = registry_find(r, "CP1", 3, true);
    uint64_t         fp[PRINTS][2];

    make_prints(fp);
    UNIT_CASE("the start of that id, if it is earlier");
    know(r, e, fp[0], 10, 0);
    know(r, e, fp[1], 11, -5);
    registry_start_stop(r, e, -5, 11);
    CHECK_EQ(state(r, e, fp[1]), REGISTRY_START_KNOWN);
    registry_start_stop(r, e, -5, 12);
    CHECK_EQ(state(r, e, fp[1]), REGISTRY_START_UNKNOWN);
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_KNOWN);
    UNIT_CASE("an equal one is new");
    know(r, e, fp[1], 13, 6);
    CHECK_EQ(state(r, e, fp[1]), REGISTRY_START_KNOWN);
    UNIT_CASE("");
}

static void
know_stop(struct registry *r, uint32_t e, const uint64_t fp[2], uint64_t number,
    int32_t id, const char *answer)
{
    registry_start_know(
        r, e, REGISTRY_START_STOP, fp, number, id, answer, strlen(answer));
}

/* StopTransactions among the starts. */
static void
remembers_stops(void)
{
    static const char *const answers[] = {"{}",
        "{\"idTagInfo\":{\"status\":\"Accepted\"}}",
        "{\"idTagInfo\":{\"status\":\"Blocked\"}}", "{ }"};
    struct registry         *r = fix_registry(4);
    uint32_t                 e = registry_find(r, "CP1", 3, true);
    struct registry_start    s;
    uint64_t                 fp[PRINTS][2];
    char                     answer[REGISTRY_ANSWER_MAX];

    make_prints(fp);
    UNIT_CASE("with any answer");
    for (unsigned i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        know_stop(r, e, fp[i], 100 + i, 7, answers[i]);
        CHECK_EQ(registry_start_find(r, e, fp[i], &s), REGISTRY_START_KNOWN);
        CHECK_STRN(s.answer, s.len, answers[i]);
    }
    UNIT_CASE("a fifth command replaces the first one");
    know_stop(r, e, fp[4], 104, 8, "{}");
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_UNKNOWN);
    for (unsigned i = 1; i < 5; i++)
        CHECK_EQ(state(r, e, fp[i]), REGISTRY_START_KNOWN);
    UNIT_CASE("starts replace stops, except the last one");
    for (unsigned i = 5; i < 9; i++)
        know(r, e, fp[i], 100 + i, (int32_t)i + 100);
    CHECK_EQ(state(r, e, fp[3]), REGISTRY_START_UNKNOWN);
    for (unsigned i = 4; i < 9; i++)
        CHECK_EQ(state(r, e, fp[i]), REGISTRY_START_KNOWN);
    UNIT_CASE("a stop of an id does not end a stop, and a start does");
    registry_start_stop(r, e, 8, 500);
    CHECK_EQ(state(r, e, fp[4]), REGISTRY_START_KNOWN);
    know(r, e, fp[9], 103, 8); /* earlier than the StopTransaction */
    CHECK_EQ(state(r, e, fp[4]), REGISTRY_START_KNOWN);
    know(r, e, fp[9], 501, 8);
    CHECK_EQ(state(r, e, fp[4]), REGISTRY_START_UNKNOWN);

    UNIT_CASE("recovered, unless a later start has the id");
    e = registry_find(r, "CP2", 3, true);
    registry_start_recover(
        r, e, REGISTRY_START_STOP, fp[0], 20, 7, "{}", 2, true);
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_KNOWN);
    recover(r, e, fp[1], 10, 7, true);
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_KNOWN);
    recover(r, e, fp[1], 30, 7, true);
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_UNKNOWN);
    registry_start_recover(
        r, e, REGISTRY_START_STOP, fp[0], 20, 7, "{}", 2, true);
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_UNKNOWN);
    UNIT_CASE("a draft is confirmed by its event");
    registry_start_draft(r, e, REGISTRY_START_STOP, fp[2], 1, 40, 9, answer, 0);
    registry_start_recover(
        r, e, REGISTRY_START_STOP, fp[2], 40, 9, "{}", 2, false);
    CHECK_EQ(state(r, e, fp[2]), REGISTRY_START_KNOWN);
    UNIT_CASE("");
}

static void
recovers_starts(void)
{
    struct registry *r = fix_registry(8);
    uint32_t         e = registry_find(r, "CP1", 3, true);
    uint64_t         fp[PRINTS][2];
    char             answer[REGISTRY_ANSWER_MAX];
    size_t           len = simple(answer, 5, "Accepted");

    make_prints(fp);
    UNIT_CASE("a draft is confirmed by its own event alone");
    registry_start_draft(r, e, REGISTRY_START, fp[5], 1, 50, 5, answer, len);
    recover(r, e, fp[5], 49, 5, false);
    CHECK_EQ(state(r, e, fp[5]), REGISTRY_START_DRAFT);
    recover(r, e, fp[5], 50, 5, false);
    CHECK_EQ(state(r, e, fp[5]), REGISTRY_START_KNOWN);
    recover(r, e, fp[6], 60, 6, false);
    CHECK_EQ(state(r, e, fp[6]), REGISTRY_START_UNKNOWN);

    UNIT_CASE("in any order, the newest ones stay");
    e = registry_find(r, "CP2", 3, true);
    for (unsigned i = 0; i < PRINTS; i++) {
        unsigned k = (7 * i + 2) % PRINTS;
        /* Later events with lower ids, as the events of another worker may have
         * them. */
        recover(r, e, fp[k], k + 1, 100 - (int32_t)k, true);
    }
    for (unsigned i = 0; i < PRINTS; i++)
        CHECK_EQ(state(r, e, fp[i]) == REGISTRY_START_KNOWN,
            i >= PRINTS - REGISTRY_STARTS);

    UNIT_CASE("a stop counts also if it is read before its start");
    e = registry_find(r, "CP3", 3, true);
    registry_start_recover_stop(r, e, 7, 20, true);
    recover(r, e, fp[0], 10, 7, true);
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_UNKNOWN);
    recover(r, e, fp[0], 30, 7, true);
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_KNOWN);
    UNIT_CASE("or after it");
    registry_start_recover_stop(r, e, 7, 40, true);
    CHECK_EQ(state(r, e, fp[0]), REGISTRY_START_UNKNOWN);
    UNIT_CASE("of equal starts the later one counts");
    recover(r, e, fp[1], 60, 9, true);
    recover(r, e, fp[1], 50, 8, true);
    registry_start_recover_stop(r, e, 8, 55, true);
    CHECK_EQ(state(r, e, fp[1]), REGISTRY_START_KNOWN);
    UNIT_CASE("");
}

/* A start is forgotten at any place of the tables; the others are still
 * found. */
static void
the_others_stay(void)
{
    struct registry *r = fix_registry(4);
    uint64_t         fp[PRINTS][2];

    make_prints(fp);
    for (unsigned gone = 0; gone < REGISTRY_STARTS; gone++) {
        uint32_t e = registry_find(r, "CP1", 3, true);
        for (unsigned i = 0; i < REGISTRY_STARTS; i++)
            know(r, e, fp[i], 10 + i, (int32_t)i);
        registry_start_stop(r, e, (int32_t)gone, 1000);
        for (unsigned i = 0; i < REGISTRY_STARTS; i++)
            CHECK_EQ(state(r, e, fp[i]) == REGISTRY_START_KNOWN, i != gone);
        know(r, e, fp[gone], 2000, 1);
        CHECK_EQ(state(r, e, fp[gone]), REGISTRY_START_KNOWN);
        registry_starts_clear(r, e);
        for (unsigned i = 0; i < REGISTRY_STARTS; i++)
            CHECK_EQ(state(r, e, fp[i]), REGISTRY_START_UNKNOWN);
    }
}

/* A start with another transaction id belongs to another transaction. */
static void
a_scribbled_start_is_forgotten(void)
{
    struct registry        *r = fix_registry(4);
    uint32_t                e = registry_find(r, "CP1", 3, true);
    struct registry_starts *s = registry_starts_at(r, e);
    const uint64_t          fp[2] = {1, UINT64_C(2) << 56};
    struct registry_start   got;
    char                    answer[REGISTRY_ANSWER_MAX] = "{ }";

    for (unsigned other = 0; other < 2; other++) {
        size_t len = other ? 3 : simple(answer, 77, "Accepted");
        if (other)
            memcpy(answer, "{ }", 3);
        registry_start_know(r, e, REGISTRY_START, fp, 9, 77, answer, len);
        for (unsigned bit = 0; bit < 192; bit++) {
            CHECK_EQ(registry_start_find(r, e, fp, &got), REGISTRY_START_KNOWN);
            CHECK_EQ(got.len, len);
            s->word[0][bit / 64] ^= UINT64_C(1) << bit % 64;
            CHECK_EQ(state(r, e, fp), REGISTRY_START_UNKNOWN);
            s->word[0][bit / 64] ^= UINT64_C(1) << bit % 64;
        }
    }
    registry_answers_at(r, e)->of[0].text[1] = 'x';
    CHECK_EQ(state(r, e, fp), REGISTRY_START_UNKNOWN);
}

int
main(void)
{
    remembers_starts();
    keeps_any_answer();
    keeps_answers_to_events();
    forgets_what_was_stopped();
    remembers_stops();
    recovers_starts();
    the_others_stay();
    a_scribbled_start_is_forgotten();
    return unit_done();
}
