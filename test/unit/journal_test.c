/* The journal: which events are reported as durable, and the behaviour while
 * the disk refuses to write. */
#include "journal_fix.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "journal/journal_id.h"
#include "journal/retention.h"
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

/* Replaces the function of libc by a disk that fails and loses what was
 * written. */
static _Atomic bool disk_fails, disk_is_slow;

int
fdatasync(int fd)
{
    static ino_t ino; /* the durable part: this many bytes of this file */
    static off_t size;
    struct stat  st;

    if (fstat(fd, &st) != 0)
        return -1;
    if (!disk_fails) {
        ino = st.st_ino;
        size = st.st_size;
        if (disk_is_slow)
            usleep(30000);
        return (int)syscall(SYS_fdatasync, fd);
    }
    if (st.st_ino != ino || st.st_size > size)
        (void)!pwrite(fd, "\0\0\0\0\0\0\0\0\0\0", 10, st.st_size - 10);
    errno = EIO;
    return -1;
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

static bool
fails_within(unsigned ms)
{
    uint64_t end = clock_mono_ms() + ms;

    while (!journal_failing(NULL) && clock_mono_ms() < end) {
        ev_run(fix_loop, EVRUN_NOWAIT);
        usleep(200);
    }
    return journal_failing(NULL);
}

/* `break_it` makes the disk fail, and `mend_it` ends that. While it fails no
 * event is reported as durable; afterwards each one is, once. */
static void
failure(int err, void (*break_it)(void), void (*mend_it)(void), unsigned n)
{
    const char *words;
    uint64_t    last, first;
    unsigned    before;

    reported = 0;
    fix_conf.journal_buffer_size = 1 << 20;
    CHECK(fix_open(0, NULL));
    for (unsigned i = 0; i < 10; i++)
        CHECK((last = fix_append(1000)) != 0);
    CHECK(fix_wait(last, 10000));
    before = fix_read(UINT64_MAX, &last);

    break_it();
    CHECK((first = fix_append(1000)) != 0);
    for (unsigned i = 1; i < n; i++)
        CHECK((last = fix_append(1000)) != 0);
    CHECK(fails_within(10000));
    CHECK_EQ(shm_worker(fix_shm, 0)->journal_errno, err);
    CHECK_EQ(stat_get(&stats_now()->journal_failing), 1);
    journal_failing(&words);
    CHECK(strstr(words, strerror(err)) != NULL);
    CHECK(strstr(words, fix_files) != NULL);
    CHECK(reported < first);
    CHECK(floor_now() <= first);
    /* Bytes of a failed write do not remain after the durable part. */
    uint64_t seen;
    fix_read(first, &seen);
    CHECK(seen < first);

    /* The buffer fills, and refuses events; no accepted event is lost. */
    unsigned more = 0;
    while ((seen = fix_append(1000)) != 0) {
        last = seen;
        more++;
    }
    CHECK(more > 0 && more < 1100);
    ev_run(fix_loop, EVRUN_NOWAIT);
    CHECK(floor_now() <= first);
    CHECK(reported < first);

    mend_it();
    CHECK(fix_wait(last, 10000));
    CHECK(!journal_failing(NULL));
    CHECK_EQ(shm_worker(fix_shm, 0)->journal_errno, 0);
    CHECK_EQ(stat_get(&stats_now()->journal_failing), 0);
    CHECK(floor_now() == UINT64_MAX);
    CHECK_EQ(journal_stalled_ms(), 0);
    CHECK_EQ(fix_read(UINT64_MAX, &seen), before + n + more);
    CHECK_EQ(seen, last);
    journal_close();
    CHECK(!went_back);
}

static struct rlimit files_before;

static void
limit_files(void)
{
    struct rlimit r;

    getrlimit(RLIMIT_FSIZE, &files_before);
    r = files_before;
    r.rlim_cur = 50000;
    setrlimit(RLIMIT_FSIZE, &r);
}

static void
unlimit_files(void)
{
    setrlimit(RLIMIT_FSIZE, &files_before);
}

static void
fail_disk(void)
{
    disk_fails = true;
}

static void
mend_disk(void)
{
    disk_fails = false;
}

static void
remove_dir(void)
{
    fix_empty_dir(fix_files);
    rmdir(fix_files);
}

static void
fill_fs(void)
{
    char path[100];

    snprintf(path, sizeof path, "%s/ballast", fix_dir);
    int         fd = open(path, O_WRONLY | O_CREAT, 0600);
    static char zero[4096];
    while (write(fd, zero, sizeof zero) > 0)
        ;
    close(fd);
}

static void
clear_fs(void)
{
    char path[100];

    snprintf(path, sizeof path, "%s/ballast", fix_dir);
    unlink(path);
}

static void
removed_under_us(void)
{
    uint64_t last;

    fix_setup(1);
    CHECK(fix_open(0, NULL));
    CHECK(fix_wait(fix_append(1000), 10000));
    remove_dir();
    CHECK((last = fix_append(1000)) != 0);
    CHECK(fails_within(10000));
    CHECK_EQ(shm_worker(fix_shm, 0)->journal_errno, ENOENT);
    CHECK(fix_wait(last, 10000)); /* the journal makes a new segment */
    CHECK_EQ(fix_read(UINT64_MAX, &last), 1);
    journal_close();
    fix_teardown();
}

static void
failures(void)
{
    UNIT_CASE("file size limit");
    fix_setup(1);
    failure(EFBIG, limit_files, unlimit_files, 100);
    fix_teardown();

    UNIT_CASE("fdatasync fails and loses pages");
    fix_setup(1);
    failure(EIO, fail_disk, mend_disk, 100);
    fix_teardown();

    UNIT_CASE("no space");
    fix_setup(1);
    if (mount("none", fix_dir, "tmpfs", 0, "size=4m") == 0) {
        failure(ENOSPC, fill_fs, clear_fs, 100);
        umount2(fix_dir, MNT_DETACH);
    } else {
        printf("not root: no test with a full file system\n");
    }
    fix_teardown();

    UNIT_CASE("stopped while failing");
    fix_setup(1);
    CHECK(fix_open(0, NULL));
    reported = 0;
    CHECK(fix_append(1000) != 0);
    fail_disk();
    CHECK(fails_within(10000));
    /* The failed attempts that follow do not shorten this time. */
    uint64_t end = clock_mono_ms() + 20000;
    while (journal_stalled_ms() < 2500 && clock_mono_ms() < end) {
        ev_run(fix_loop, EVRUN_NOWAIT);
        usleep(200);
    }
    CHECK(journal_stalled_ms() >= 2500);
    journal_close();
    CHECK_EQ(reported, 0);
    mend_disk();
    fix_teardown();
    UNIT_CASE("");
}

/* Events always wait, but a slow disk is not a disk that stalls. */
static void
slow_disk(void)
{
    uint64_t began, now;

    UNIT_CASE("slow disk");
    fix_setup(1);
    CHECK(fix_open(0, NULL));
    disk_is_slow = true;
    began = now = clock_mono_ms();
    while (now - began < 20000 &&
        (now - began < 1000 || journal_idle() ||
            journal_stalled_ms() >= (now - began) / 2)) {
        CHECK(fix_append(100) != 0);
        ev_run(fix_loop, EVRUN_NOWAIT);
        usleep(1000);
        now = clock_mono_ms();
    }
    CHECK(now - began < 20000);
    disk_is_slow = false;
    CHECK(fix_wait(fix_append(100), 10000));
    CHECK_EQ(journal_stalled_ms(), 0);
    journal_close();
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
    retention_clock_at_start();
    commits();
    lines();
    rotation();
    retention();
    retention_clock();
    ids();
    failures();
    slow_disk();
    removed_under_us();
    refusals();
    return unit_done();
}
