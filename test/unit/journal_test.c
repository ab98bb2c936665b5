/* The journal: which events are reported as durable. */
#include "journal_fix.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include "journal/committer.h"
#include "journal/journal_id.h"
#include "journal/segment_writer.h"
#include "log.h"

static uint64_t reported; /* number of the last up_committed() */
static unsigned reports;
static bool
    went_back; /* an up_committed() had a lower number than the former */

void
up_committed(uint64_t number)
{
    went_back |= number <= reported;
    reported = number;
    reports++;
}

/* Replaces the function of libc, and counts the directories that were
 * synced. */
static unsigned dir_syncs;

int
fsync(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        dir_syncs++;
    return (int)syscall(SYS_fsync, fd);
}

static uint64_t
floor_now(void)
{
    return atomic_load(&shm_worker(fix_shm, 0)->journal_floor);
}

static struct stats *
stats_now(void)
{
    return &shm_worker(fix_shm, 0)->stats;
}

static void
commits(void)
{
    uint64_t n = 0, first = 0, last;

    fix_setup(2);
    reported = reports = 0;
    CHECK(fix_open(0, NULL));
    CHECK_EQ(floor_now() == UINT64_MAX, 1);
    for (int i = 0; i < 1000; i++) {
        n = fix_append(FIX_LINE_MIN + (size_t)i);
        CHECK(n != 0);
        if (i == 0) {
            first = n;
            CHECK(floor_now() <= first);
            CHECK(journal_dir_mark(fix_shm) <= first);
        }
    }
    CHECK(stat_get(&stats_now()->journal_backlog_bytes) > 0);
    CHECK_EQ(reported, 0); /* nothing is reported before the loop runs */
    CHECK(fix_wait(n, 10000));
    CHECK_EQ(reported, n);
    CHECK(!went_back);
    CHECK(floor_now() == UINT64_MAX);
    CHECK(journal_dir_mark(fix_shm) > n);
    CHECK_EQ(stat_get(&stats_now()->events), 1000);
    CHECK_EQ(stat_get(&stats_now()->journal_backlog_bytes), 0);
    uint64_t commits = stat_get(&stats_now()->commits);
    CHECK(commits >= 1 && commits < 100); /* many events are in one commit */
    CHECK_EQ(fix_read(UINT64_MAX, &last), 1000);
    CHECK_EQ(last, n);
    CHECK_EQ(fix_read(first, &last), 0);
    CHECK_EQ(fix_read(first + 1, &last), 1);

    /* closing makes a commit and reports it */
    n = fix_append(500);
    journal_close();
    CHECK_EQ(reported, n);
    CHECK_EQ(fix_read(UINT64_MAX, &last), 1001);
    CHECK_EQ(last, n);

    /* If the clock was set back, no number is drawn again, nor one of the 2^20
     * that may have been drawn without a line. This also holds for the numbers
     * of a slot without a worker. */
    fix_shm->sequence = 5;
    CHECK(fix_open(1, NULL));
    CHECK_EQ(fix_shm->sequence, n + 1 + (1u << 20));
    journal_close();
    /* A slot that has served takes no number from the journals: in an upgrade
     * the higher ones are of the new program, which continues from them. */
    fix_shm->sequence = 5;
    shm_worker(fix_shm, 1)->served = 1;
    CHECK(fix_open(1, NULL));
    CHECK_EQ(fix_shm->sequence, 5);
    journal_close();
    fix_teardown();
}

/* A generation is drawn before the event of its session. As long as the event
 * may be lost, it is not below the floor, also when earlier events are
 * durable. */
static void
floor_of_a_session(void)
{
    fix_setup(1);
    reported = reports = 0;
    CHECK(fix_open(0, NULL));
    journal_expect(true);
    uint64_t generation = atomic_fetch_add(&fix_shm->sequence, 1);
    uint64_t n = fix_append(FIX_LINE_MIN);
    CHECK(floor_now() <= generation);
    struct committer_news news = {0};
    committer_look(&news);
    CHECK(news.pending <= generation);
    CHECK(fix_wait(n, 10000));
    CHECK(floor_now() == UINT64_MAX);
    /* In the next turn of the loop the floor of an event is its number. */
    n = fix_append(FIX_LINE_MIN);
    committer_look(&news);
    CHECK_EQ(news.pending, n);
    CHECK(fix_wait(n, 10000));
    journal_close();
    fix_teardown();
}

static void
lines(void)
{
    static char             big[JOURNAL_LINE_MAX + 64];
    char                    text[200];
    struct journal_dir_want want = {.slot = 0};
    struct journal_line     line;
    struct buf              why = BUF_INIT(1000);

    fix_setup(1);
    CHECK(fix_open(0, NULL));
    uint64_t a = journal_begin();
    journal_abandon(a);
    ev_run(fix_loop, EVRUN_NOWAIT);
    CHECK(floor_now() == UINT64_MAX);

    /* A sequence that a stray store has set far ahead, or that has wrapped. */
    static const uint64_t stray[] = {
        UINT64_MAX, UINT64_MAX - 1, JOURNAL_NUMBER_MAX, 0, 5};
    for (unsigned i = 0; i < 5; i++) {
        atomic_store(&fix_shm->sequence, stray[i]);
        uint64_t b = journal_begin();
        CHECK(b > a && b < JOURNAL_NUMBER_MAX);
        journal_abandon(b);
        a = b;
    }

    uint64_t n = journal_begin();
    CHECK(n > a);
    memset(big, 'x', sizeof big);
    CHECK(!journal_append(n, big, JOURNAL_LINE_MAX));
    CHECK_EQ(stat_get(&stats_now()->events_refused), 1);

    n = journal_begin();
    int len = sprintf(text,
        "{\"eventId\":\"%016" PRIx64 "-n1\",\"payload\":"
        "{\n\"a\":\"x%cy\"\n}}",
        n, 'N');
    *strchr(text, 'N') = '\0';
    CHECK(journal_append(n, text, (size_t)len));
    CHECK(fix_wait(n, 10000));
    struct journal_dir *s = journal_dir_open(fix_files, &want, &why);
    CHECK(journal_dir_next(s, UINT64_MAX, &line));
    CHECK_STRN(line.p + 43, line.len - 43, "{ \"a\":\"x y\" }}");
    CHECK(!journal_dir_next(s, UINT64_MAX, &line));
    journal_dir_close(s);
    journal_close();
    fix_teardown();
}

static void
rotation(void)
{
    struct journal_dir_list list;
    uint64_t                last, n = 0;
    struct stat             st;
    char                    path[200];

    fix_setup(1);
    fix_conf.journal_segment_size = 64 << 10;
    CHECK(fix_open(0, NULL));
    for (int i = 0; i < 100; i++) {
        n = fix_append(10000);
        if (i % 5 == 4)
            CHECK(fix_wait(n, 10000));
    }
    CHECK(fix_wait(n, 10000));
    CHECK(fix_count(&list) >= 16);
    for (size_t i = 0; i < list.n; i++) {
        char name[JOURNAL_NAME_LEN + 1];
        journal_line_file_name(name, list.v[i].slot, list.v[i].first);
        snprintf(path, sizeof path, "%s/%s", fix_files, name);
        CHECK(stat(path, &st) == 0 && st.st_size > 0 && st.st_size <= 64 << 10);
        CHECK_EQ(st.st_mode & 0777 & ~0640, 0);
    }
    size_t before = list.n;
    free(list.v);
    CHECK_EQ(fix_read(UINT64_MAX, &last), 100);

    /* The name of a new segment is durable before its events are reported. */
    dir_syncs = 0;
    CHECK(fix_wait(fix_append(60000), 10000));
    CHECK_EQ(dir_syncs, 1);
    CHECK(fix_wait(fix_append(100), 10000));
    CHECK_EQ(dir_syncs, 1);

    /* switched by age, after a reload */
    fix_conf.journal_segment_size = 64 << 20;
    fix_conf.journal_segment_age = 1;
    journal_tick();
    usleep(3000);
    CHECK(fix_wait(fix_append(100), 10000));
    usleep(3000);
    CHECK(fix_wait(fix_append(100), 10000));
    CHECK(fix_count(&list) >= before + 2);
    free(list.v);
    journal_close();
    fix_teardown();
}

/* The id of a journal is made once, then read. Worker 0 replaces a damaged
 * one. */
static void
ids(void)
{
    static const char *const damaged[] = {
        "", "0123456789abcde\n", "x0123456789abcdef", "0123456789ABCDEF\n"};
    char first[20], path[100], text[40];

    UNIT_CASE("id");
    fix_setup(1);
    CHECK(fix_open(0, NULL)); /* this makes the directory */
    journal_close();
    snprintf(path, sizeof path, "%s/id", fix_files);
    unlink(path);
    CHECK(journal_id_open(fix_dir));
    snprintf(first, sizeof first, "%s", journal_id());
    CHECK_EQ(strspn(first, "0123456789abcdef"), 16);
    FILE *f = fopen(path, "r");
    CHECK(f != NULL && fgets(text, sizeof text, f) != NULL);
    CHECK_EQ(fclose(f), 0);
    CHECK_EQ(strlen(text), 17);
    CHECK(strncmp(text, first, 16) == 0 && text[16] == '\n');
    CHECK(journal_id_open(fix_dir));
    CHECK_STR(journal_id(), first);
    unlink(path);
    CHECK(journal_id_open(fix_dir));
    CHECK(strcmp(journal_id(), first) != 0);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        UNIT_CASE(damaged[i]);
        f = fopen(path, "w");
        CHECK(f != NULL && fputs(damaged[i], f) >= 0);
        CHECK_EQ(fclose(f), 0);
        CHECK(journal_id_open(fix_dir));
        snprintf(first, sizeof first, "%s", journal_id());
        CHECK_EQ(strspn(first, "0123456789abcdef"), 16);
        CHECK(strncmp(first, damaged[i], 16) != 0);
        struct stat st;
        CHECK(stat(path, &st) == 0);
        CHECK_EQ(st.st_size, 17);
        CHECK(journal_id_open(fix_dir));
        CHECK_STR(journal_id(), first);
        DIR           *d = opendir(fix_files);
        struct dirent *e;
        while ((e = readdir(d)) != NULL)
            CHECK(strncmp(e->d_name, "id.", 3) != 0);
        closedir(d);
    }
    CHECK(!journal_id_open("/nowhere/at/all"));
    fix_teardown();
    UNIT_CASE("");
}

static void
refusals(void)
{
    struct buf         why = BUF_INIT(4096);
    struct journal_env env = {.shm = NULL, .conf = &fix_conf};

    fix_setup(1);
    env.shm = fix_shm;
    env.loop = fix_loop;
    strcpy(fix_conf.server_state_dir, "/nowhere/at/all");
    CHECK(!journal_open(&env, &why));
    CHECK(strstr(buf_cstr(&why), "/nowhere/at/all") != NULL);
    buf_clear(&why);
    strcpy(fix_conf.server_state_dir, "/dev/null");
    CHECK(!journal_open(&env, &why));
    CHECK(strstr(buf_cstr(&why), "/dev/null") != NULL);
    buf_clear(&why);

    /* Two writers of one slot. */
    strcpy(fix_conf.server_state_dir, fix_dir);
    CHECK(fix_open(0, NULL));
    pid_t pid = fork();
    if (pid == 0) {
        /* The second writer, as in a second daemon, opens the file anew. */
        struct tail t;
        bool        second = segment_writer_open(&t, fix_dir, 0, &why);
        _exit(second || strstr(buf_cstr(&why), "w000.lock") == NULL);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    journal_close();
    buf_free(&why);
    fix_teardown();
}

int
main(void)
{
    static const _Atomic int quiet = -1;

    log_level_at(&quiet);
    commits();
    floor_of_a_session();
    lines();
    rotation();
    ids();
    refusals();
    return unit_done();
}
