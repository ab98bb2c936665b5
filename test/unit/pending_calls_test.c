/* The commands whose outcomes the master waits for. The report of a worker
 * about a command is checked. */
#include <stdlib.h>
#include <string.h>

#include "base/master.h"
#include "control/pending_calls.h"
#include "log.h"
#include "unit.h"

/* This is a part of main.c, which is in no unit test. */
struct master master;

static unsigned     ends;
static enum outcome ended;
static char         ended_id[64], ended_json[64];

static void
done(uint64_t client, enum outcome outcome, const char *command_id,
    const char *json, size_t len)
{
    CHECK_EQ(client, 7);
    ends++;
    ended = outcome;
    snprintf(ended_id, sizeof ended_id, "%s", command_id);
    snprintf(ended_json, sizeof ended_json, "%.*s", (int)len, json);
}

static void
failed(uint64_t client, const char *why)
{
    (void)client, (void)why;
    CHECK(!"no command fails here");
}

static const struct pending_calls_waiter waiter = {7, done, failed};

/* Makes command `id` pending, as if another master handed it over. */
static bool
take(uint64_t id, const char *body, size_t len)
{
    struct buf    out = BUF_INIT(4096);
    struct fields f;

    fields_begin(&out, "pending");
    fields_put_u64(&out, "id", id);
    fields_put_bytes(&out, "body", body, len);
    fields_end(&out);
    CHECK(out.len > 0 && out.p[out.len - 1] == '\n');
    bool taken =
        fields_parse(&f, out.p, out.len - 1) && pending_calls_read(&f, &waiter);
    buf_free(&out);
    return taken;
}

#define BODY(id) id "\0CP1\0Reset\0{}\0"

static void
each_ends_once(void)
{
    UNIT_CASE("once");
    CHECK(take(11, BODY("a"), sizeof BODY("a")));
    CHECK(take(12, BODY("b"), sizeof BODY("b")));
    CHECK(!take(13, BODY("b"), sizeof BODY("b"))); /* the same commandId */
    CHECK(!take(14, "b", 2));                      /* half of a command */
    CHECK_EQ(pending_calls_count(), 2);
    CHECK(pending_calls_has("a") && pending_calls_has("b"));
    CHECK(!pending_calls_has("c"));
    pending_calls_done(12, OUTCOME_result, "{\"x\":1}", 7);
    CHECK_EQ(ends, 1);
    CHECK_EQ(ended, OUTCOME_result);
    CHECK_STR(ended_id, "b");
    CHECK_STR(ended_json, "{\"x\":1}");
    CHECK(!pending_calls_has("b"));
    pending_calls_done(12, OUTCOME_error, "{}", 2);
    pending_calls_done(99, OUTCOME_error, "{}", 2);
    CHECK_EQ(ends, 1);
    CHECK_EQ(pending_calls_count(), 1);
    pending_calls_done(11, OUTCOME_timeout, "{\"x\":2}", 7);
    CHECK_EQ(ends, 2);
    CHECK_EQ(ended, OUTCOME_timeout);
    CHECK_EQ(pending_calls_count(), 0);
    UNIT_CASE("");
}

/* A number that is not an outcome is not used as one. */
static void
odd_outcomes(void)
{
    static const uint64_t odd[] = {
        OUTCOMES, OUTCOMES + 1, UINT32_MAX, UINT64_MAX};

    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        UNIT_CASE("odd");
        ends = 0;
        CHECK(take(20 + i, BODY("odd"), sizeof BODY("odd")));
        pending_calls_done(20 + i, odd[i], "{\"x\":3}", 7);
        CHECK_EQ(ends, 1);
        CHECK_EQ(ended, OUTCOME_uncertain);
    }
    UNIT_CASE("");
}

int
main(void)
{
    static const _Atomic int quiet = -1;

    log_level_at(&quiet);
    master.slots = 1;
    each_ends_once();
    odd_outcomes();
    return unit_done();
}
