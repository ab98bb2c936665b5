/* Segments: torn ends, and reading them in order. */
#include "journal_fix.h"

#include <sys/resource.h>

#include "journal/recovery.h"
#include "journal_file.h"
#include "log.h"

void
up_committed(uint64_t number)
{
    (void)number;
}

static uint64_t seen[64];
static unsigned n_seen;

static void
see(void *ctx, uint64_t number, const char *line, size_t len)
{
    (void)ctx, (void)line, (void)len;
    if (n_seen < 64)
        seen[n_seen++] = number;
}

static off_t
size_of(unsigned slot, uint64_t first)
{
    char        name[JOURNAL_NAME_LEN + 1], path[200];
    struct stat st;

    journal_line_file_name(name, slot, first);
    snprintf(path, sizeof path, "%s/%s", fix_files, name);
    return stat(path, &st) == 0 ? st.st_size : -1;
}

static struct recovery
recover(unsigned slot)
{
    struct recovery r;
    struct buf      why = BUF_INIT(4096);
    int             fd = open(fix_files, O_RDONLY | O_DIRECTORY);

    n_seen = 0;
    CHECK(recovery_run(
        fd, fix_files, slot, JOURNAL_RECOVER_MAX, see, NULL, &r, &why));
    CHECK_EQ(why.len, 0);
    close(fd);
    buf_free(&why);
    return r;
}

/* The newest segment is torn at each byte, and then followed by what a crash
 * may leave there: nothing, zeros, or old blocks of the disk. */
static void
torn(void)
{
    static const char *const behind[] = {
        "", "0000", "old\nblocks\n", "{\"eventId\":\"x\n"};
    char   bytes[2000], torn[2100];
    size_t ends[6] = {0}, len = 0;

    for (unsigned i = 1; i <= 5; i++) {
        len += fix_line(bytes + len, 100 + i, FIX_LINE_MIN + 7 * i);
        bytes[len++] = '\n';
        ends[i] = len;
    }
    for (unsigned b = 0; b < sizeof behind / sizeof behind[0]; b++)
        for (size_t cut = 0; cut <= len; cut++) {
            size_t whole = 0, more = strlen(behind[b]);
            while (whole < 5 && ends[whole + 1] <= cut)
                whole++;
            memcpy(torn, bytes, cut);
            memcpy(torn + cut, behind[b], more);
            if (b == 1)
                memset(torn + cut, 0, more);
            fix_put(0, 101, torn, cut + more);
            struct recovery r = recover(0);
            CHECK_EQ(n_seen, whole);
            CHECK_EQ(r.last, whole ? 100 + whole : 0);
            CHECK_EQ(r.last_any, whole ? 100 + whole : 101);
            /* Whole lines stay, damaged ones too; a torn end is removed. */
            size_t stay = b >= 2 ? cut + more : ends[whole];
            CHECK_EQ(size_of(0, 101), stay ? (off_t)stay : -1);
            CHECK_EQ(r.cut, cut + more - stay);
            CHECK_EQ(r.bad > 0, b >= 2);
        }
    fix_empty_dir(fix_files);

    /* A page in the middle was never written. What follows it was not
     * acknowledged, and does no harm. */
    memset(bytes + ends[1] + 5, 0, 40);
    fix_put(0, 101, bytes, len);
    struct recovery r = recover(0);
    CHECK_EQ(n_seen, 4);
    CHECK_EQ(r.bad, 1);
    CHECK_EQ(r.last, 105);
    CHECK_EQ(size_of(0, 101), len);
    fix_empty_dir(fix_files);
}

/* Two lines of 100 bytes each, and their newlines. */
static void
put_two(unsigned slot, uint64_t first)
{
    char   bytes[300];
    size_t len = 0;

    for (uint64_t i = first; i < first + 2; i++) {
        len += fix_line(bytes + len, i, 100);
        bytes[len++] = '\n';
    }
    fix_put(slot, first, bytes, len);
}

static uint64_t
seen_numbers(void)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < n_seen; i++)
        all = 100 * all + seen[i];
    n_seen = 0;
    return all;
}

/* Which slots are read without a change, and how much of each. */
static void
others_are_read(void)
{
    struct recovery r = {0};
    int             fd = open(fix_files, O_RDONLY | O_DIRECTORY);

    n_seen = 0;
    for (unsigned slot = 0; slot < 4; slot++) {
        put_two(slot, 10 + 20 * slot);
        put_two(slot, 20 + 20 * slot);
    }
    recovery_neighbours(fd, fix_files, 0, 2, 1000, see, NULL, &r);
    CHECK_EQ(seen_numbers(), 30314041);
    CHECK_EQ(r.lines, 4);
    CHECK_EQ(r.last_any, 41);
    CHECK_EQ(r.last, 0);
    recovery_neighbours(fd, fix_files, 1, 2, 1000, see, NULL, &r);
    CHECK_EQ(seen_numbers(), 10112021);
    CHECK_EQ(r.last_any, 41);
    recovery_orphans(fd, fix_files, 0, 2, 1000, see, NULL, &r);
    CHECK_EQ(seen_numbers(), 50516061);
    recovery_orphans(fd, fix_files, 1, 2, 1000, see, NULL, &r);
    CHECK_EQ(seen_numbers(), 70718081);
    recovery_orphans(fd, fix_files, 0, 4, 1000, see, NULL, &r);
    CHECK_EQ(seen_numbers(), 0);
    recovery_own(fd, fix_files, 3, 1000, see, NULL, &r);
    CHECK_EQ(seen_numbers(), 70718081);
    /* The last bytes only. */
    recovery_own(fd, fix_files, 3, 350, see, NULL, &r);
    CHECK_EQ(seen_numbers(), 718081);
    recovery_own(fd, fix_files, 3, 150, see, NULL, &r);
    CHECK_EQ(seen_numbers(), 81);
    recovery_neighbours(fd, fix_files, 0, 2, 250, see, NULL, &r);
    CHECK_EQ(seen_numbers(), 4041);
    for (unsigned slot = 0; slot < 4; slot++)
        CHECK_EQ(size_of(slot, 20 + 20 * slot), 202);
    close(fd);
    fix_empty_dir(fix_files);
}

static void
several(void)
{
    char            bytes[400];
    size_t          len = fix_line(bytes, 10, 100);
    struct recovery r;

    /* slot 0: number 10, a torn 11; then 11 again, 12, and 12 again, as a
     * failing disk leaves it */
    bytes[len++] = '\n';
    size_t part = fix_line(bytes + len, 11, 100);
    fix_put(0, 10, bytes, len + part - 20);
    len = fix_line(bytes, 11, 100);
    bytes[len++] = '\n';
    fix_put(0, 11, bytes, len);
    len = fix_line(bytes, 12, 100);
    bytes[len++] = '\n';
    memcpy(bytes + len, bytes, len);
    fix_put(0, 12, bytes, 2 * len);
    /* slot 1: numbers in between and behind; slot 2: an empty file */
    len = fix_line(bytes, 9, 100);
    bytes[len++] = '\n';
    fix_put(1, 9, bytes, len);
    len = fix_line(bytes, 40, 100);
    bytes[len++] = '\n';
    fix_put(1, 40, bytes, len);
    fix_put(2, 30, "", 0);

    r = recover(0);
    CHECK_EQ(n_seen, 3);
    CHECK_EQ(seen[0] * 10000 + seen[1] * 100 + seen[2], 101112);
    CHECK_EQ(r.last, 12);
    CHECK_EQ(r.last_any, 40);
    r = recover(5);
    CHECK_EQ(r.last, 0);
    CHECK_EQ(r.last_any, 40);

    uint64_t last;
    CHECK_EQ(fix_read(UINT64_MAX, &last), 5);
    CHECK_EQ(last, 40);
    CHECK_EQ(fix_read(11, &last), 2);
    CHECK_EQ(last, 10);

    struct buf              why = BUF_INIT(1000);
    struct journal_line     line;
    struct journal_dir_want want = {.slot = 0, .from = 11};
    struct journal_dir     *s = journal_dir_open(fix_files, &want, &why);
    CHECK(journal_dir_next(s, 12, &line) && line.number == 11);
    CHECK(!journal_dir_next(s, 12, &line));
    CHECK(journal_dir_waiting(s));
    CHECK(journal_dir_next(s, 13, &line) && line.number == 12);
    CHECK(!journal_dir_next(s, 13, &line));
    CHECK(!journal_dir_waiting(s));
    /* The reader continues when a file grows, a new one appears, and one is
     * removed. */
    fix_put(0, 13, bytes, 0);
    fix_put(0, 14, bytes, 0);
    CHECK(journal_dir_refresh(s, &why));
    CHECK(!journal_dir_next(s, UINT64_MAX, &line));
    len = fix_line(bytes, 15, 100);
    bytes[len] = '\n';
    fix_put(0, 14, bytes, 60);
    CHECK(journal_dir_refresh(s, &why));
    CHECK(!journal_dir_next(s, UINT64_MAX, &line));
    fix_put(0, 14, bytes, len + 1);
    CHECK(journal_dir_refresh(s, &why));
    CHECK(journal_dir_next(s, UINT64_MAX, &line) && line.number == 15);
    CHECK(fix_is_whole(&line));
    fix_empty_dir(fix_files);
    CHECK(journal_dir_refresh(s, &why));
    CHECK(!journal_dir_next(s, UINT64_MAX, &line));
    rmdir(fix_files);
    CHECK(!journal_dir_refresh(s, &why));
    CHECK(strstr(buf_cstr(&why), fix_files) != NULL);
    journal_dir_close(s);
    buf_clear(&why);
    CHECK(journal_dir_open(fix_files, &want, &why) == NULL);
    CHECK(strstr(buf_cstr(&why), fix_files) != NULL);
    buf_free(&why);
    mkdir(fix_files, 0750);
}

/* Writes a line with its checksum; returns its length with the line feed. */
static size_t
checked(char *out, uint64_t number, size_t len)
{
    len = fix_line(out, number, len) - 1;
    journal_line_put_check(out + len, out, len);
    out[len + JOURNAL_CHECK_LEN] = '\n';
    return len + JOURNAL_CHECK_LEN + 1;
}

/* In each turn, one byte of the middle one of three lines is changed: only that
 * line is skipped, and its place is reported. A number that is far too high
 * hides no other line. */
static void
damaged(void)
{
    char   bytes[1000], path[200];
    size_t one = checked(bytes, 101, 100), two = checked(bytes + one, 102, 120);
    size_t len = one + two + checked(bytes + one + two, 103, 100);

    snprintf(path, sizeof path, "%s/w000-%016x.jsonl: ", fix_files, 101);
    for (size_t i = 0; i < two; i++)
        for (unsigned k = 0; k < 3; k++) {
            char was = bytes[one + i];
            bytes[one + i] = k == 0 ? was ^ 1 : k == 1 ? 'f' : '\0';
            if (bytes[one + i] == was)
                continue;
            fix_put(0, 101, bytes, len);
            struct recovery r = recover(0);
            /* Without its line feed it is joined with the next line. */
            bool joined = i == two - 1;
            CHECK_EQ(n_seen, joined ? 1 : 2);
            CHECK_EQ(seen[0], 101);
            CHECK_EQ(joined ? 103 : seen[1], 103);
            CHECK_EQ(r.last, joined ? 101 : 103);
            CHECK_EQ(r.bad >= 1, 1);
            uint64_t                last;
            struct buf              why = BUF_INIT(1000);
            struct journal_dir_want want = {.slot = 0};
            struct journal_line     line;
            fix_put(0, 101, bytes, len);
            struct journal_dir *s = journal_dir_open(fix_files, &want, &why);
            for (last = 0; journal_dir_next(s, UINT64_MAX, &line);) {
                CHECK(fix_is_whole(&line) && line.number > last);
                last = line.number;
            }
            CHECK_EQ(last, joined ? 101 : 103);
            CHECK(journal_dir_damaged(s, &why));
            char want_words[300];
            snprintf(want_words, sizeof want_words, "at byte %zu", one);
            CHECK(strstr(buf_cstr(&why), want_words) != NULL);
            journal_dir_close(s);
            buf_free(&why);
            bytes[one + i] = was;
        }
    /* When a line with a checksum has been read, a later one without is
     * damaged. */
    len = one;
    len += fix_line(bytes + len, 102, 100);
    bytes[len++] = '\n';
    fix_put(0, 101, bytes, len);
    CHECK_EQ(recover(0).last, 101);
    /* A number that is far too high: without a checksum (0.1), and one that a
     * reader rejects; also in the name of a file. */
    len = fix_line(bytes, 101, 100);
    bytes[len++] = '\n';
    len += fix_line(bytes + len, 101 + JOURNAL_FILE_SPAN, 100);
    bytes[len++] = '\n';
    len += fix_line(bytes + len, 102, 100);
    bytes[len++] = '\n';
    fix_put(0, 101, bytes, len);
    fix_put(1, UINT64_MAX, bytes, len);
    struct recovery r = recover(0);
    CHECK_EQ(n_seen, 2);
    CHECK_EQ(r.last, 102);
    CHECK_EQ(r.last_any, 102);
    len = checked(bytes, JOURNAL_NUMBER_MAX, 100);
    fix_put(0, 101, bytes, len);
    r = recover(0);
    CHECK_EQ(n_seen, 0);
    CHECK_EQ(r.bad, 1);
    fix_empty_dir(fix_files);
}

/* Reads the lines from first to last, which are all that is left, and closes.
 */
static void
ends_with(struct journal_dir *s, uint64_t first, uint64_t last)
{
    struct journal_line line;

    for (; journal_dir_next(s, UINT64_MAX, &line); first++)
        CHECK_EQ(line.number, first);
    CHECK_EQ(first, last + 1);
    journal_dir_close(s);
    fix_empty_dir(fix_files);
}

/* The first commit to a segment has failed, and the file was made again with
 * more events. A reader that has seen the former file leaves none of them
 * out. */
static void
made_anew(void)
{
    char                    bytes[1000], path[300];
    struct buf              why = BUF_INIT(1000);
    struct journal_dir_want want = {.slot = 0};
    struct journal_line     line;
    size_t                  one = checked(bytes, 101, 100);

    snprintf(path, sizeof path, "%s/w000-%016x.jsonl", fix_files, 101);
    fix_put(0, 101, bytes, one);
    struct journal_dir *s = journal_dir_open(fix_files, &want, &why);
    CHECK(!journal_dir_next(s, 101, &line)); /* it is not durable */
    CHECK_EQ(unlink(path), 0);
    CHECK(journal_dir_refresh(s, &why));
    CHECK(!journal_dir_next(s, 101, &line));
    size_t two = checked(bytes + one, 102, 100);
    fix_put(0, 101, bytes, one + two);
    fix_put(0, 103, bytes, checked(bytes, 103, 100));
    CHECK(journal_dir_refresh(s, &why));
    ends_with(s, 101, 103);
    buf_free(&why);
}

/* The same segment while the reader is still in the one before it: the file is
 * in the list, and gone when the reader opens it. */
static void
made_anew_behind(void)
{
    char                    bytes[1000], path[300];
    struct buf              why = BUF_INIT(1000);
    struct journal_dir_want want = {.slot = 0};
    struct journal_line     line;

    fix_put(0, 101, bytes, checked(bytes, 101, 100));
    snprintf(path, sizeof path, "%s/w000-%016x.jsonl", fix_files, 102);
    fix_put(0, 102, bytes, 0);
    struct journal_dir *s = journal_dir_open(fix_files, &want, &why);
    CHECK_EQ(unlink(path), 0);
    CHECK(journal_dir_next(s, UINT64_MAX, &line));
    CHECK_EQ(line.number, 101);
    CHECK(!journal_dir_next(s, UINT64_MAX, &line));
    fix_put(0, 102, bytes, checked(bytes, 102, 100));
    fix_put(0, 103, bytes, checked(bytes, 103, 100));
    CHECK(journal_dir_refresh(s, &why));
    ends_with(s, 102, 103);
    buf_free(&why);
}

/* While the process has no descriptor left, the reader stays where it is, and
 * skips no segment. */
static void
without_descriptors(void)
{
    char                    bytes[1000];
    struct buf              why = BUF_INIT(1000);
    struct journal_dir_want want = {.slot = 0};
    struct journal_line     line;
    struct rlimit           all, none;

    for (unsigned n = 101; n <= 103; n++)
        fix_put(0, n, bytes, checked(bytes, n, 100));
    struct journal_dir *s = journal_dir_open(fix_files, &want, &why);
    CHECK(journal_dir_next(s, UINT64_MAX, &line));
    CHECK_EQ(line.number, 101);
    int next = dup(STDIN_FILENO);
    close(next);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &all), 0);
    none = (struct rlimit){(rlim_t)next, all.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK(!journal_dir_next(s, UINT64_MAX, &line));
    CHECK(!journal_dir_next(s, UINT64_MAX, &line));
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &all), 0);
    CHECK(journal_dir_refresh(s, &why));
    ends_with(s, 102, 103);
    buf_free(&why);
}

int
main(void)
{
    static const _Atomic int quiet = -1;

    log_level_at(&quiet);
    fix_setup(1);
    CHECK(fix_open(0, NULL)); /* this makes the directory */
    journal_close();
    fix_empty_dir(fix_files);
    torn();
    others_are_read();
    several();
    damaged();
    made_anew();
    made_anew_behind();
    without_descriptors();
    fix_teardown();
    return unit_done();
}
