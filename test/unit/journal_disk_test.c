/* The journal on a disk that is full, slow, or fails. */
#include "journal_fix.h"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>

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

int
main(void)
{
    static const _Atomic int quiet = -1;

    log_level_at(&quiet);
    failures();
    slow_disk();
    removed_under_us();
    return unit_done();
}
