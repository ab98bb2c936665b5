/* The basic parts of common/: buf, writer, clock, channel, cref, stats, usage,
 * since, score. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "channel.h"
#include "clock.h"
#include "crc32c.h"
#include "cref.h"
#include "score.h"
#include "since.h"
#include "stats.h"
#include "unit.h"
#include "usage.h"
#include "writer.h"

static void
a_buf_never_passes_its_ceiling(void)
{
    struct buf b = BUF_INIT(10);

    CHECK(buf_add(&b, "12345", 5));
    CHECK(!buf_add(&b, "678901", 6));
    CHECK(b.overflow);
    CHECK_EQ(b.len, 5u); /* text that does not fit is not added */
    CHECK(b.cap <= 10);
    CHECK(!buf_reserve(&b, (size_t)-1));
    buf_clear(&b);
    CHECK(!b.overflow);
    CHECK(buf_addf(&b, "%d", 123456789)); /* leaves room for the NUL */
    CHECK(!buf_addf(&b, "%d", 1));
    buf_consume(&b, 4);
    CHECK_STR(buf_cstr(&b), "56789");
    buf_consume(&b, 100);
    CHECK_EQ(b.len, 0u);
    buf_free(&b);
    CHECK_STR(buf_cstr(&(struct buf){.max = 0}), "");
}

static void
json_is_valid_whatever_is_written(void)
{
    struct buf    b = BUF_INIT(4096);
    struct writer w = WRITER_INIT(&b);

    writer_open(&w, NULL, '{');
    writer_str(&w, "quote", "\"a\\b\n\x01\x7f");
    writer_strn(&w, "bad", "x\xff\xc0\xafy\xed\xa0\x80z", 9);
    writer_open(&w, "list", '[');
    writer_u64(&w, NULL, UINT64_MAX);
    writer_i64(&w, NULL, INT64_MIN);
    writer_f64(&w, NULL, 1.0 / 0.0);
    writer_open(&w, NULL, '{');
    writer_close(&w);
    writer_bool(&w, NULL, true);
    writer_null(&w, NULL);
    writer_close(&w);
    writer_raw(&w, "raw", "1e9", 3);
    writer_close(&w);
    CHECK_STR(buf_cstr(&b),
        "{\"quote\":\"\\\"a\\\\b\\n\\u0001\x7f\","
        "\"bad\":\"x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy\xef\xbf\xbd\xef\xbf\xbd"
        "\xef\xbf\xbdz\",\"list\":[18446744073709551615,-9223372036854775808,"
        "null,{},true,null],\"raw\":1e9}");
    buf_free(&b);
}

static void
times_are_read_as_they_are_written(void)
{
    static const char *const bad[] = {"", "2026", "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1",
        "2026-01-01T00:00:00Zx", "1969-12-31T23:59:59Z"};
    char                     text[CLOCK_RFC3339_LEN + 1], d[CLOCK_DURATION_LEN];
    uint64_t                 ms = 0;

    clock_rfc3339(text, 1709210096007u);
    CHECK_STR(text, "2024-02-29T12:34:56.007Z");
    CHECK(clock_parse_rfc3339(text, strlen(text), &ms));
    CHECK_EQ(ms, 1709210096007u);
    CHECK(clock_parse_rfc3339("2024-02-29T14:04:56.0079+01:30", 30, &ms));
    CHECK_EQ(ms, 1709210096007u);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!clock_parse_rfc3339(bad[i], strlen(bad[i]), &ms));
    clock_duration(d, 60000);
    CHECK_STR(d, "1m0s"); /* the form of logs and reports */
    clock_duration(d, 339000);
    CHECK_STR(d, "5m39s");
    clock_duration(d, 0);
    CHECK_STR(d, "0s");
    clock_duration(d, 250);
    CHECK_STR(d, "250ms");
    clock_duration(d, 3723000);
    CHECK_STR(d, "1h2m3s");
}

static void
datagrams_arrive_whole_or_not_at_all(void)
{
    static char        body[CHANNEL_BODY_MAX + 1], got[CHANNEL_BODY_MAX + 1];
    struct channel_msg m = {.type = CHANNEL_call, .id = 7, .conn = 8, .arg = 9};
    struct channel_msg r;
    int                fds[2];

    CHECK(channel_pair(fds));
    CHECK_EQ(channel_recv(fds[0], &r, got), 0);
    memset(body, 'x', sizeof body);
    CHECK(channel_send(fds[1], &m, body, CHANNEL_BODY_MAX));
    CHECK_EQ(channel_recv(fds[0], &r, got), 1);
    CHECK(r.type == CHANNEL_call && r.id == 7 && r.conn == 8 && r.arg == 9);
    CHECK_EQ(r.len, CHANNEL_BODY_MAX);
    CHECK(memcmp(body, got, CHANNEL_BODY_MAX) == 0);
    CHECK_EQ(got[CHANNEL_BODY_MAX], 0);

    /* A message whose length is wrong, and a message without a body. */
    m.len = 5;
    CHECK(send(fds[1], &m, sizeof m, 0) == sizeof m);
    CHECK_EQ(channel_recv(fds[0], &r, got), -1);
    CHECK(send(fds[1], &m, sizeof m - 1, 0) == sizeof m - 1);
    CHECK_EQ(channel_recv(fds[0], &r, got), -1);

    /* A full channel refuses a message and can still be used. */
    unsigned sent = 0;
    while (channel_send(fds[1], &m, body, CHANNEL_BODY_MAX))
        sent++;
    CHECK(sent > 0);
    for (unsigned i = 0; i < sent; i++)
        CHECK_EQ(channel_recv(fds[0], &r, got), 1);
    CHECK_EQ(channel_recv(fds[0], &r, got), 0);
    close(fds[1]);
    CHECK_EQ(channel_recv(fds[0], &r, got), -1);
    close(fds[0]);

    CHECK_STR(channel_string("a\0\0c", 5, 0), "a");
    CHECK_STR(channel_string("a\0\0c", 5, 1), "");
    CHECK_STR(channel_string("a\0\0c", 5, 2), "c");
    CHECK_STR(channel_string("a\0\0c", 5, 3), "");
}

static void
a_cref_keeps_its_parts(void)
{
    cref c = cref_make(200, CREF_INDEXES - 1, UINT64_C(0xfffffffff));

    CHECK_EQ(cref_slot(c), 200u);
    CHECK_EQ(cref_index(c), CREF_INDEXES - 1);
    CHECK(cref_make(1, 5, 7) != cref_make(1, 5, 8));
}

static void
quantiles_name_the_bucket(void)
{
    struct histogram h = {0};
    uint64_t         counts[STATS_BUCKETS];

    for (int i = 0; i < 99; i++)
        histogram_add(&h, 100);
    histogram_add(&h, UINT64_MAX / 4);
    for (int i = 0; i < STATS_BUCKETS; i++)
        counts[i] = stat_get(&h.bucket[i]);
    CHECK_EQ(histogram_quantile(counts, 0.5), 100u);
    CHECK_EQ(histogram_quantile(counts, 1.0), 120000000u);
    memset(counts, 0, sizeof counts);
    CHECK_EQ(histogram_quantile(counts, 0.5), 0u);
}

static void
checksums_are_those_of_rfc_3720(void)
{
    unsigned char data[256] = {0};

    CHECK_EQ(crc32c("123456789", 9), UINT32_C(0xe3069283));
    CHECK_EQ(crc32c(data, 32), UINT32_C(0x8a9136aa)); /* RFC 3720, B.4 */
    CHECK_EQ(crc32c(data, 0), 0u);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 167 + 1);
    for (size_t from = 0; from < 9; from++)
        for (size_t n = 0; n < sizeof data - from; n++)
            CHECK_EQ(crc32c(data + from, n), crc32c_by_table(data + from, n));
}

static void
a_usage_is_read_item_by_item(void)
{
    const char *u = "IDENTITY [KEY|none] add|remove [--limit N] [-b] [--x a|b]";
    static const char *const want[][3] = {{"", "IDENTITY", ""},
        {"", "KEY|none", "o"}, {"", "add|remove", ""}, {"--limit", "N", "o"},
        {"-b", "", "o"}, {"--x", "a|b", "o"}};
    struct usage_item        item;
    char                     word[32];

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        CHECK(usage_next(&u, &item));
        CHECK_STR(item.option, want[i][0]);
        CHECK_STR(item.value, want[i][1]);
        CHECK_EQ(item.optional, want[i][2][0] == 'o');
    }
    CHECK(!usage_next(&u, &item));
    const char *v = "KEY|none";
    CHECK(usage_word(&v, word, sizeof word));
    CHECK_STR(word, "KEY");
    CHECK(!usage_is_literal(word));
    CHECK(usage_word(&v, word, sizeof word));
    CHECK_STR(word, "none");
    CHECK(usage_is_literal(word) && !usage_word(&v, word, sizeof word));
}

static void
a_time_is_given_as_such_or_as_an_age(void)
{
    static const char *const wrong[] = {
        "", "1", "h", "1w", "-1h", "1h ", "2026-01-31", "99999999999999999d"};
    uint64_t ms = 0, now = clock_wall_ms();

    CHECK(since_parse("2026-01-31T12:00:00Z", &ms));
    CHECK_EQ(ms, 1769860800000u);
    CHECK(since_parse("1h30m", &ms));
    CHECK(ms >= now - 5400000 && ms <= clock_wall_ms() - 5400000);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(!since_parse(wrong[i], &ms));
}

static void
add_event(struct score *s, const char *cp, const char *type, const char *rest)
{
    struct buf text = BUF_INIT(4096);

    buf_addf(&text,
        "{\"eventId\":\"0000000000000001-n\",\"eventType\":\"%s\","
        "\"chargePointId\":\"%s\",\"timestamp\":\"2026-01-31T12:00:00.000Z\""
        "%s}",
        type, cp, rest);
    struct journal_line line = {.p = text.p, .len = text.len, .number = 1};
    score_add(s, &line);
    buf_free(&text);
}

static void
a_score_is_bounded_and_takes_any_text(void)
{
    struct score           *s = score_new(3);
    struct score_view       v = {.worst = 10, .until_ms = 86400000};
    size_t                  n;
    const struct score_row *r;

    for (int i = 0; i < 6; i++) {
        char cp[8];
        snprintf(cp, sizeof cp, "CP%d", i);
        add_event(s, cp, "command.response",
            ",\"payload\":{\"outcome\":\"timeout\"}");
    }
    r = score_rows(s, &v, &n);
    CHECK_EQ(n, 4u); /* three names, and one row for all others */
    CHECK_EQ(score_points(s), 3u);
    CHECK_STR(r[0].name, ""); /* the row of the others has the worst score, as
                                 it counts for three */
    CHECK_EQ(r[0].missing, 3u);
    /* Names of any kind, and members of the wrong type. */
    add_event(s, "CP0", "charge_point.booted",
        ",\"payload\":{\"chargePointVendor\":7,\"chargePointModel\":"
        "\"a\\u0007\\\"b\",\"firmwareVersion\":[]}");
    add_event(s, "CP0", "connector.status_changed",
        ",\"payload\":{\"timestamp\":\"2026-01-31T11:59:00Z\"},"
        "\"deviations\":[\"no_zone\",\"none of them\",\"no_zone\"]");
    add_event(s, "CP0", "connector.status_changed",
        ",\"payload\":{\"timestamp\":\"2026-01-31T11:00:00Z\"}");
    add_event(s, "CP0", "charge_point.disconnected",
        ",\"payload\":{\"reason\":\"idle\",\"pingMs\":99999999999999999999}");
    v.by = SCORE_MODEL;
    r = score_rows(s, &v, &n);
    CHECK_EQ(n, 2u);
    for (size_t i = 0; i < n; i++)
        if (r[i].name[0] != '\0') {
            CHECK_STR(r[i].name, "a?\"b");
            CHECK_EQ(r[i].deviations[DEVIATION_no_zone], 2u);
            CHECK_EQ(r[i].clock_ms, -60000);
            CHECK_EQ(r[i].ends[CLOSE_idle], 1u);
        }
    score_free(s);
}

int
main(void)
{
    a_buf_never_passes_its_ceiling();
    json_is_valid_whatever_is_written();
    times_are_read_as_they_are_written();
    datagrams_arrive_whole_or_not_at_all();
    a_cref_keeps_its_parts();
    quantiles_name_the_bucket();
    checksums_are_those_of_rfc_3720();
    a_usage_is_read_item_by_item();
    a_time_is_given_as_such_or_as_an_age();
    a_score_is_bounded_and_takes_any_text();
    return unit_done();
}
