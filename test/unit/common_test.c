/* The small things in common/: buf, writer, clock, channel, cref, stats. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "channel.h"
#include "clock.h"
#include "crc32c.h"
#include "cref.h"
#include "stats.h"
#include "unit.h"
#include "writer.h"

static void
a_buf_never_passes_its_ceiling(void)
{
    struct buf b = BUF_INIT(10);

    CHECK(buf_add(&b, "12345", 5));
    CHECK(!buf_add(&b, "678901", 6));
    CHECK(b.overflow);
    CHECK_EQ(b.len, 5u); /* whole or not at all */
    CHECK(b.cap <= 10);
    CHECK(!buf_reserve(&b, (size_t)-1));
    buf_clear(&b);
    CHECK(!b.overflow);
    CHECK(buf_addf(&b, "%d", 123456789)); /* and room for the NUL */
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
    CHECK_STR(d, "1m0s"); /* as the mission prints it */
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

    /* One that says another length than it has, or none. */
    m.len = 5;
    CHECK(send(fds[1], &m, sizeof m, 0) == sizeof m);
    CHECK_EQ(channel_recv(fds[0], &r, got), -1);
    CHECK(send(fds[1], &m, sizeof m - 1, 0) == sizeof m - 1);
    CHECK_EQ(channel_recv(fds[0], &r, got), -1);

    /* A full channel refuses, and is not a broken one. */
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
    return unit_done();
}
