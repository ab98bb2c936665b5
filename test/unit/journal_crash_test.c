/* The journal and kill -9: events that were reported as durable exist, in order
 * and complete. While the workers write, the order over all of them is exact
 * below the mark. */
#include "journal_fix.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "log.h"

#define KILLS 240
#define WRITERS 2
#define ORDER_MS 1500
#define BOOK 60000

/* What the writers report to the test, in shared memory. */
static struct {
    _Atomic uint64_t
        reported[WRITERS]; /* the highest number reported by up_committed() */
    _Atomic uint64_t
        appended[WRITERS]; /* number of events, in all lives together */
    _Atomic uint64_t reports;
    _Atomic bool     stop;
} * shared;

static unsigned slot;
static unsigned rng;

void
up_committed(uint64_t number)
{
    atomic_store(&shared->reported[slot], number);
    atomic_fetch_add(&shared->reports, 1);
}

static unsigned
dice(unsigned n)
{
    rng = rng * 1103515245 + 12345;
    return (rng >> 16) % n;
}

static uint64_t recovered_last;
static unsigned recovered_wrong;

static void
recovered(void *ctx, uint64_t number, const char *line, size_t len)
{
    struct journal_line l = {.p = line, .len = len, .number = number};

    (void)ctx;
    recovered_wrong += number <= recovered_last || !fix_is_whole(&l);
    recovered_last = number;
}

/* A worker: it appends a few events of random lengths in each turn of the
 * loop. */
static void
writer(unsigned of_slot, unsigned seed)
{
    slot = of_slot;
    rng = seed;
    ev_loop_fork(fix_loop);
    if (!fix_open(slot, seed % 16 == 1 ? recovered : NULL) || recovered_wrong)
        _exit(3);
    if (journal_committed() < atomic_load(&shared->reported[slot]))
        _exit(4);
    while (!atomic_load(&shared->stop)) {
        for (unsigned n = dice(20); n > 0; n--)
            if (fix_append(FIX_LINE_MIN + dice(dice(30) ? 700 : 60000)) != 0)
                atomic_fetch_add(&shared->appended[slot], 1);
        ev_run(fix_loop, EVRUN_NOWAIT);
        if (dice(3) == 0)
            usleep(dice(300));
    }
    journal_close();
    _exit(0);
}

static pid_t
spawn(unsigned of_slot, unsigned seed)
{
    pid_t test = getpid(), pid = fork();

    if (pid == 0) {
        /* Otherwise the writer would run for ever if the test was killed. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == test)
            writer(of_slot, seed);
        _exit(5);
    }
    return pid;
}

static void
kills(void)
{
    uint64_t last = 0, total = 0, at_last;
    int      status;

    fix_setup(1);
    fix_conf.journal_segment_size = 1 << 20;
    for (unsigned i = 0; i < KILLS; i++) {
        pid_t pid = spawn(0, i + 1);
        /* at any moment, in some lives after a commit only */
        uint64_t reports = atomic_load(&shared->reports);
        for (unsigned w = 0;
             i % 4 == 0 && w < 5000 && atomic_load(&shared->reports) == reports;
             w++)
            usleep(100);
        usleep(dice(8000));
        kill(pid, SIGKILL);
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        if (i % 40 == 39) {
            total = fix_read(UINT64_MAX, &last);
            CHECK(last >= atomic_load(&shared->reported[0]));
        }
    }
    /* Reads which events exist: all but the last few of each life. Events that
     * were reported as durable must exist, others may. */
    CHECK(atomic_load(&shared->reports) >= KILLS / 4);
    CHECK(total > 0);
    CHECK(total <= atomic_load(&shared->appended[0]) + KILLS);
    CHECK(fix_open(0, recovered));
    CHECK_EQ(recovered_wrong, 0);
    CHECK(journal_committed() >= atomic_load(&shared->reported[0]));
    CHECK(fix_wait(fix_append(200), 10000));
    CHECK_EQ(fix_read(UINT64_MAX, &at_last), total + 1);
    journal_close();
    fix_teardown();
}

/* Checks that every number that was reported as durable exists. Each process
 * writes the numbers that it appends into the book, and is killed. */
static _Atomic uint64_t *book; /* numbers, in the order of the draws */
static _Atomic uint64_t *book_len;

static void
bookkeeper(unsigned seed)
{
    rng = seed;
    ev_loop_fork(fix_loop);
    if (!fix_open(0, NULL))
        _exit(3);
    for (;;) {
        for (unsigned n = dice(30); n > 0 && *book_len < BOOK; n--) {
            uint64_t number = fix_append(FIX_LINE_MIN + dice(400));
            if (number != 0) {
                book[*book_len] = number;
                atomic_fetch_add(book_len, 1);
            }
        }
        ev_run(fix_loop, EVRUN_NOWAIT);
    }
}

static void
nothing_announced_is_lost(void)
{
    static uint64_t there[BOOK];
    struct buf      why = BUF_INIT(1000);

    fix_setup(1);
    for (unsigned i = 0; i < 60; i++) {
        atomic_store(book_len, 0);
        atomic_store(&shared->reported[0], 0);
        pid_t pid = fork();
        if (pid == 0)
            bookkeeper(i);
        for (unsigned w = 0; w < 1000 && atomic_load(&shared->reported[0]) == 0;
             w++)
            usleep(100);
        usleep(dice(5000));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        uint64_t n = atomic_load(book_len),
                 reported = atomic_load(&shared->reported[0]);

        struct journal_dir_want want = {.slot = 0, .from = n ? book[0] : 0};
        struct journal_dir     *s = journal_dir_open(fix_files, &want, &why);
        struct journal_line     line;
        size_t                  have = 0, missing = 0;
        while (have < n && journal_dir_next(s, UINT64_MAX, &line))
            there[have++] = line.number;
        for (uint64_t k = 0; k < n && book[k] <= reported; k++)
            missing += k >= have || there[k] != book[k];
        CHECK_EQ(missing, 0);
        CHECK(reported == 0 || have > 0);
        journal_dir_close(s);
    }
    buf_free(&why);
    fix_teardown();
}

static void
order(void)
{
    struct buf              why = BUF_INIT(1000);
    struct journal_dir_want want = {.slot = -1};
    struct journal_line     line;
    pid_t                   pids[WRITERS];
    uint64_t                last = 0, n = 0, wrong = 0, appended = 0;
    uint64_t                slots_seen = 0;
    int                     status;

    fix_setup(WRITERS);
    fix_conf.journal_segment_size = 256 << 10;
    memset(shared, 0, sizeof *shared);
    CHECK(fix_open(0, NULL)); /* this makes the directory */
    journal_close();
    struct journal_dir *s = journal_dir_open(fix_files, &want, &why);
    for (unsigned i = 0; i < WRITERS; i++)
        pids[i] = spawn(i, 77 + i);
    uint64_t end = clock_mono_ms() + ORDER_MS;
    for (bool stopped = false;; usleep(500)) {
        bool over = stopped;
        if (over)
            for (unsigned i = 0; i < WRITERS; i++)
                CHECK(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
        uint64_t mark = journal_dir_mark(fix_shm);
        CHECK(journal_dir_refresh(s, &why));
        for (; journal_dir_next(s, mark, &line); n++) {
            wrong += line.number <= last || !fix_is_whole(&line);
            last = line.number;
            slots_seen |= 1u << journal_dir_slot(s);
        }
        if (over)
            break;
        if (clock_mono_ms() > end)
            atomic_store(&shared->stop, stopped = true);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        appended += atomic_load(&shared->appended[i]);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(n, appended);
    CHECK_EQ(slots_seen, (1u << WRITERS) - 1);
    CHECK_EQ(journal_dir_bad(s), 0);
    CHECK(!journal_dir_waiting(s));
    journal_dir_close(s);
    buf_free(&why);
    fix_teardown();
}

int
main(void)
{
    static const _Atomic int quiet = -1;

    log_level_at(&quiet);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    book = mmap(NULL, (BOOK + 1) * sizeof *book, PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    book_len = book + BOOK;
    kills();
    nothing_announced_is_lost();
    order();
    return unit_done();
}
