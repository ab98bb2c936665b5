/* A line of the journal: its form, its members, and reading it from a file. */
#include "journal_fix.h"

#include "event.h"
#include "journal_file.h"

void
up_committed(uint64_t number)
{
    (void)number;
}

static void
names(void)
{
    static const char *const bad[] = {"", "w000.lock",
        "w00-0006a1b2c3d4e5f6.jsonl", "w003-0006A1B2C3D4E5F6.jsonl",
        "w003-0006a1b2c3d4e5f6.json", "w003-0006a1b2c3d4e5f6.jsonl~",
        "x003-0006a1b2c3d4e5f6.jsonl", "w0x3-0006a1b2c3d4e5f6.jsonl",
        "w003_0006a1b2c3d4e5f6.jsonl"};
    char                     name[JOURNAL_NAME_LEN + 1];
    unsigned                 slot;
    uint64_t                 first;

    journal_line_file_name(name, 3, 0x6a1b2c3d4e5f6);
    CHECK_STR(name, "w003-0006a1b2c3d4e5f6.jsonl");
    CHECK(journal_line_file_parse(name, &slot, &first));
    CHECK_EQ(slot, 3);
    CHECK_EQ(first, 0x6a1b2c3d4e5f6);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        UNIT_CASE(bad[i]);
        CHECK(!journal_line_file_parse(bad[i], &slot, &first));
    }
    UNIT_CASE("");
}

#define ID "{\"eventId\":\"0000000000000001-n\""

static void
pieces(void)
{
    static const struct {
        const char             *text;
        enum journal_line_piece piece;
    } row[] = {
        {ID "}\n", JOURNAL_LINE_WHOLE},
        {ID ",\"a\":{}}\nrest", JOURNAL_LINE_WHOLE},
        {ID "}", JOURNAL_LINE_PART},
        {"", JOURNAL_LINE_PART},
        {"\n", JOURNAL_LINE_BAD},
        {ID "\n", JOURNAL_LINE_BAD},
        {ID "} \n", JOURNAL_LINE_BAD},
        {"{\"eventId\":\"000000000000000g-n\"}\n", JOURNAL_LINE_BAD},
        {"{\"eventId\":\"0000000000000000-n\"}\n", JOURNAL_LINE_BAD},
        {"{\"eventId\":\"00000000000000001-n\"}\n", JOURNAL_LINE_BAD},
        {"{\"eventid\":\"0000000000000001-n\"}\n", JOURNAL_LINE_BAD},
        {"\"eventId\":\"0000000000000001-n\",\"a\":1}\n", JOURNAL_LINE_BAD},
    };
    struct journal_line line;
    struct buf          b = BUF_INIT(100);

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        UNIT_CASE(row[i].text);
        CHECK_EQ(journal_line_next(row[i].text, strlen(row[i].text), &line),
            row[i].piece);
    }
    UNIT_CASE("");
    CHECK_EQ(
        journal_line_next(ID ",\0}\n", sizeof ID + 4, &line), JOURNAL_LINE_BAD);
    journal_line_put_id(&b, 0x123456789abcdef0, "gw-1");
    CHECK_STRN(b.p, b.len, "{\"eventId\":\"123456789abcdef0-gw-1\"");
    buf_free(&b);
}

static const char *
field(const char *line, const char *name)
{
    static char out[100];
    const char *v;
    size_t      n;

    if (!journal_line_field(line, strlen(line), name, &v, &n))
        return "-";
    snprintf(out, sizeof out, "%.*s", (int)n, v);
    return out;
}

static void
fields(void)
{
    const char *line =
        "{\"a\":\"x\\\"y\",\"b\":{\"a\":[1,\"}\"],\"z\":2},\"c\":12,"
        "\"d\" : null ,\"e\":[[]],\"a\":2}";

    CHECK_STR(field(line, "a"), "\"x\\\"y\"");
    CHECK_STR(field(line, "b"), "{\"a\":[1,\"}\"],\"z\":2}");
    CHECK_STR(field(line, "c"), "12");
    CHECK_STR(field(line, "d"), "null");
    CHECK_STR(field(line, "e"), "[[]]");
    CHECK_STR(field(line, "z"), "-");
    CHECK_STR(field("{\"a\":", "a"), "-");
    CHECK_STR(field("{\"a\":}", "a"), "-");
    CHECK_STR(field("{\"a\":\"x", "a"), "-");
    CHECK_STR(field("{\"a\\", "a"), "-");
    CHECK_STR(field("[1]", "a"), "-");
    CHECK_STR(field("", "a"), "-");
}

/* Lines that are longer than a chunk, and one that is longer than a line may
 * be. */
static void
long_lines(void)
{
    static char         bytes[2 * JOURNAL_LINE_MAX + (1u << 20)];
    struct journal_file r = JOURNAL_FILE_CLOSED;
    struct journal_line line;
    size_t              len = 0;

    for (uint64_t n = 1; n <= 3; n++) {
        len += fix_line(bytes + len, n, n == 2 ? JOURNAL_LINE_MAX - 1 : 70000);
        bytes[len++] = '\n';
        if (n == 1) {
            memset(bytes + len, 'x', JOURNAL_LINE_MAX + 7);
            len += JOURNAL_LINE_MAX + 7;
            bytes[len++] = '\n';
        }
    }
    fix_put(0, 1, bytes, len);
    char path[200];
    snprintf(path, sizeof path, "%s/w000-0000000000000001.jsonl", fix_files);
    journal_file_open(&r, open(path, O_RDONLY), 0);
    for (uint64_t n = 1; n <= 3; n++) {
        if (n == 2)
            CHECK_EQ(journal_file_next(&r, &line), JOURNAL_FILE_DAMAGED);
        CHECK_EQ(journal_file_next(&r, &line), JOURNAL_FILE_LINE);
        CHECK_EQ(line.number, n);
        CHECK(fix_is_whole(&line));
    }
    CHECK_EQ(journal_file_next(&r, &line), JOURNAL_FILE_END);
    CHECK_EQ(journal_file_at(&r), len);
    CHECK_EQ(r.bad, 1);
    journal_file_close(&r);
    /* Reading begins in the middle: the first line is the first that begins
     * there or later. */
    journal_file_open(&r, open(path, O_RDONLY), len - 70001);
    CHECK(
        journal_file_next(&r, &line) == JOURNAL_FILE_LINE && line.number == 3);
    journal_file_close(&r);
    journal_file_open(&r, open(path, O_RDONLY), len - 70002);
    CHECK(
        journal_file_next(&r, &line) == JOURNAL_FILE_LINE && line.number == 3);
    journal_file_close(&r);
    journal_file_open(&r, open(path, O_RDONLY), len - 70000);
    CHECK(journal_file_next(&r, &line) == JOURNAL_FILE_END);
    journal_file_free(&r);
    fix_empty_dir(fix_files);
}

static void
types(void)
{
    struct buf b = BUF_INIT(1 << 16);

    CHECK_EQ(event_by_type("transaction.started"), EVENT_tx_started);
    CHECK_EQ(event_by_type("nothing"), EVENTS);
    event_put_types(&b);
    CHECK(strstr(buf_cstr(&b), "firmware.status_changed, diagnostics") != NULL);
    buf_free(&b);
}

int
main(void)
{
    names();
    pieces();
    fields();
    types();
    fix_setup(1);
    CHECK(fix_open(0, NULL)); /* this makes the directory */
    journal_close();
    fix_empty_dir(fix_files);
    long_lines();
    fix_teardown();
    return unit_done();
}
