/* parent: the process that the user has started. See parent.h. */
#include "parent.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "fleet.h"
#include "tally.h"
#include "txids.h"

#define SHOW_NS 1000000000u /* between two lines of progress */
#define QUIT_NS 5000000000u /* for the end of the children */
#define LEAD_NS 50000000u   /* from the order to run until the run begins */

static struct fleet_shared  *shared;
static pid_t                *pids;
static unsigned              processes, alive;
static bool                  broken; /* a child died */
static volatile sig_atomic_t interrupted;
static struct tally          sum; /* the sum that was made last */

static void
on_signal(int number)
{
    (void)number;
    interrupted++;
}

static void
add_up(void)
{
    memset(&sum, 0, sizeof sum);
    for (unsigned i = 0; i < processes; i++)
        tally_merge(&sum, &shared->tally[i]);
}

#define ALL(flag) all(offsetof(struct tally, flag))

static bool
all(size_t flag)
{
    for (unsigned i = 0; i < processes; i++) {
        const char *at = (const char *)&shared->tally[i] + flag;
        if (!atomic_load((const _Atomic bool *)(const void *)at))
            return false;
    }
    return true;
}

static void
bury_children(void)
{
    int   status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        alive--;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        broken = true;
        fprintf(stderr, "ocppsim: process %ld of the fleet died (%s %d)\n",
            (long)pid, WIFSIGNALED(status) ? "signal" : "exit code",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

static void
show(const struct options *o, bool tty)
{
    static uint64_t          last_ns, last_sent, last_acknowledged;
    static const char *const phases[] = {"ramp", "run", "drain", "quit"};
    uint64_t                 now = clock_mono_ns();
    double                   s = last_ns ? (double)(now - last_ns) / 1e9 : 1;
    char                     line[256];

    if (o->quiet || (!tty && !o->progress))
        return;
    add_up();
    uint64_t sent = tally_get(&sum, sent);
    uint64_t acknowledged = tally_get(&sum, acknowledged);
    snprintf(line, sizeof line,
        "%-5s %" PRIu64 "/%" PRIu64 " connected, %" PRIu64
        " charging, sent %.0f/s, answered %.0f/s, ms p50 %.1f p99 %.1f "
        "max %.1f, errors %" PRIu64,
        phases[atomic_load(&shared->phase)], tally_get(&sum, connected),
        tally_get(&sum, points), tally_get(&sum, charging),
        (double)(sent - last_sent) / s,
        (double)(acknowledged - last_acknowledged) / s,
        (double)histogram_at(&sum.latency, 0.5) / 1e3,
        (double)histogram_at(&sum.latency, 0.99) / 1e3,
        (double)histogram_at(&sum.latency, 1) / 1e3, tally_errors(&sum));
    fprintf(stderr, tty ? "\r%s\033[K" : "%s\n", line);
    last_ns = now;
    last_sent = sent;
    last_acknowledged = acknowledged;
}

static void
phase(int p)
{
    atomic_store_explicit(&shared->phase, p, memory_order_release);
}

/* Sleeps until a child changes its state, at most until the next deadline. */
static void
wait_for_news(int news, uint64_t until_ns)
{
    uint64_t      now = clock_mono_ns();
    char          bytes[256];
    struct pollfd pfd = {.fd = news, .events = POLLIN};
    int           ms = 0;

    if (until_ns > now) {
        uint64_t left = (until_ns - now) / 1000000u + 1;
        ms = left > 200 ? 200 : (int)left;
    }
    if (poll(&pfd, 1, ms) > 0 && read(news, bytes, sizeof bytes) == 0)
        /* All children have ended. */
        poll(NULL, 0, 1);
    bury_children();
}

static bool
load_over(const struct options *o, uint64_t run_ns)
{
    bool timed = o->duration > 0;

    if (timed && clock_mono_ns() >= run_ns + (uint64_t)(o->duration * 1e9))
        return true;
    if (o->messages == 0 && !o->storming)
        return false;
    if (timed && (o->keep || o->messages == 0))
        return false;
    return ALL(done);
}

/* The work of the parent in all phases, except waiting. False: stop. */
static bool
go_on(const struct options *o, bool tty, uint64_t *shown)
{
    uint64_t now = clock_mono_ns();

    if (now - *shown >= SHOW_NS) {
        *shown = now;
        show(o, tty);
    }
    return !interrupted && !broken && alive > 0;
}

static void
conduct(const struct options *o, int news, struct tally_run *run)
{
    bool     tty = isatty(STDERR_FILENO) && !o->quiet;
    uint64_t start = clock_mono_ns(), shown = start, run_ns, end_ns, until;
    uint64_t sent = 0, acknowledged = 0;

    while (!ALL(ramped) && go_on(o, tty, &shown))
        wait_for_news(news, shown + SHOW_NS);
    run_ns = clock_mono_ns() + (o->rate > 0 ? LEAD_NS : 0);
    run->ramp_s = (double)(clock_mono_ns() - start) / 1e9;
    add_up();
    sent = tally_get(&sum, sent);
    acknowledged = tally_get(&sum, acknowledged);
    atomic_store(&shared->run_ns, run_ns);
    if (o->storming)
        atomic_store(&shared->storm_ns, run_ns);
    phase(FLEET_RUN);
    until =
        o->duration > 0 ? run_ns + (uint64_t)(o->duration * 1e9) : UINT64_MAX;
    while (!load_over(o, run_ns) && go_on(o, tty, &shown))
        wait_for_news(news, until < shown + SHOW_NS ? until : shown + SHOW_NS);
    end_ns = clock_mono_ns();
    if (end_ns > until)
        end_ns = until;
    add_up();
    run->run_s = end_ns > run_ns ? (double)(end_ns - run_ns) / 1e9 : 0;
    run->run_sent = tally_get(&sum, sent) - sent;
    run->run_answered = tally_get(&sum, acknowledged) - acknowledged;
    atomic_store(&shared->end_ns, end_ns);
    phase(FLEET_DRAIN);
    if (interrupted == 1)
        interrupted = 0;
    until = clock_mono_ns() + (uint64_t)((o->message_timeout + 1) * 1e9);
    while (!ALL(drained) && clock_mono_ns() < until && go_on(o, tty, &shown))
        wait_for_news(news, shown + SHOW_NS);
    show(o, tty);
    phase(FLEET_QUIT);
    until = clock_mono_ns() + QUIT_NS;
    while (alive > 0 && clock_mono_ns() < until)
        wait_for_news(news, until);
    if (tty)
        fputc('\n', stderr);
}

/* Makes as many processes as are needed for the descriptors of all charge
 * points. */
static bool
plan(const struct options *o)
{
    uint64_t capacity = fleet_capacity(o);
    uint64_t points =
        o->count + (uint64_t)((double)o->count * o->takeover / 100 + 1);
    uint64_t least = (points + capacity - 1) / capacity;

    processes = o->processes ? (unsigned)o->processes : (unsigned)least;
    if (o->processes > 1024 || processes < least) {
        fprintf(stderr,
            "ocppsim: --processes %" PRIu64 ": %" PRIu64
            " charge points need from %" PRIu64 " to 1024 (ulimit -n)\n",
            o->processes, o->count, least);
        return false;
    }
    return true;
}

static bool
start(const struct options *o, int news[2])
{
    size_t   size = sizeof *shared + processes * sizeof shared->tally[0];
    uint32_t nonce = (uint32_t)(clock_wall_us() / 1000u);

    shared = mmap(
        NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pids = calloc(processes, sizeof *pids);
    if (shared == MAP_FAILED || pids == NULL || !txids_map() ||
        pipe2(news, O_CLOEXEC | O_NONBLOCK) < 0) {
        fprintf(stderr, "ocppsim: %m\n");
        return false;
    }
    fflush(NULL);
    for (unsigned i = 0; i < processes; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            close(news[0]);
            _exit(fleet_run(o, shared, i, processes, nonce, news[1]));
        }
        if (pids[i] < 0) {
            fprintf(stderr, "ocppsim: cannot fork: %m\n");
            for (unsigned j = 0; j < i; j++)
                kill(pids[j], SIGKILL);
            return false;
        }
        alive++;
    }
    close(news[1]);
    return true;
}

int
parent_run(const struct options *o)
{
    struct sigaction sa = {.sa_handler = on_signal};
    struct rlimit    rl;
    struct rusage    ru;
    struct tally_run run = {.seed = o->seed};
    struct buf       out = BUF_INIT(1u << 20);
    int              news[2];

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
        rl.rlim_cur = rl.rlim_max;
        setrlimit(RLIMIT_NOFILE, &rl);
    }
    if (!plan(o))
        return 2;
    run.processes = processes;
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    if (!o->quiet)
        fprintf(stderr, "ocppsim: seed %" PRIu64 "\n", o->seed);
    if (!start(o, news))
        return 1;
    conduct(o, news[0], &run);
    for (unsigned i = 0; alive > 0 && i < processes; i++)
        kill(pids[i], SIGKILL);
    while (alive > 0 && waitpid(-1, NULL, 0) > 0)
        alive--;
    add_up();
    getrusage(RUSAGE_CHILDREN, &ru);
    run.cpu_s = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
        (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
    run.txids_full = txids_full();
    if (broken)
        tally_add(&sum, trouble, 1);
    if (o->json)
        tally_json(&out, &sum, &run);
    else
        tally_text(&out, &sum, &run);
    fwrite(out.p, 1, out.len, stdout);
    fflush(stdout);
    buf_free(&out);
    return tally_errors(&sum) == 0 ? 0 : 1;
}
