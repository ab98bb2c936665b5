/*
 * events: `ocppctl events`: the events in the journal, in order.
 *
 * It reads the files directly. While the daemon runs, it prints only events
 * with numbers below the daemon's mark, so that the order over all workers is
 * exact. With --follow it sleeps in inotify until an event is written, asks for
 * the mark again, and continues. While an event is written but not below the
 * mark yet, it asks at shorter intervals.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "ctl/ctl.h"
#include "ctl/cursor.h"
#include "ctl/journal_path.h"
#include "event.h"
#include "journal_dir.h"
#include "near.h"
#include "printable.h"
#include "writer.h"

#define OUT_FLUSH (64u << 10)
#define SAVE_MS 200  /* ms between two looks at the position of the reader */
#define GATHER_MS 20 /* ms for which new events are collected before a look */
/* The most ms until the mark is asked for again. */
#define PATIENCE_MS 1000
/* ms between two looks without a reason: inotify does not report a removed
 * directory that is still open */
#define IDLE_MS 2000

struct events {
    const struct ctl *ctl;
    bool              follow;
    bool              alone;    /* --dir: the daemon is not asked */
    uint64_t          since_ms; /* wall clock; 0: from the beginning */
    struct buf        cp;       /* the identity as it is written in a line;
                                   empty: any */
    bool                some_types;
    bool                type[EVENTS];
    char                dir[JOURNAL_PATH_MAX];
    struct journal_dir *s;
    int                 inotify;
    uint64_t            mark;
    struct buf          silent; /* why the daemon was not reached */
    uint64_t            last;   /* number of the last event that was printed or
                                   skipped */
    struct buf    out;
    const char   *cursor_path;
    struct cursor cursor;
    bool          trouble; /* some events could not be read */
    bool          gone;    /* the reader has closed the output */
};

/* --- options ------------------------------------------------------------- */

static bool
take_type(struct events *e, const char *text)
{
    struct buf all = BUF_INIT(4096);

    if (event_by_type(text) == EVENTS) {
        struct near n = near_to(text);
        for (unsigned i = 0; i < EVENTS; i++)
            near_try(&n, event_info[i].type);
        event_put_types(&all);
        ctl_report("--type %s: there is no such type; %s%s%s", text,
            n.word != NULL ? "is it " : "there are ",
            n.word != NULL ? n.word : buf_cstr(&all),
            n.word != NULL ? "?" : "");
        buf_free(&all);
        return false;
    }
    for (unsigned i = 0; i < EVENTS; i++)
        if (strcmp(event_info[i].type, text) == 0)
            e->type[i] = true;
    e->some_types = true;
    return true;
}

static int
options(struct events *e, int argc, char **argv)
{
    static const struct option table[] = {{"follow", no_argument, NULL, 'f'},
        {"since", required_argument, NULL, 's'},
        {"cp", required_argument, NULL, 'c'},
        {"type", required_argument, NULL, 't'},
        {"dir", required_argument, NULL, 'd'},
        {"cursor", required_argument, NULL, 'C'}, {NULL, 0, NULL, 0}};
    bool                       good = true;
    int                        o;

    optind = 0;
    while (good && (o = ctl_option(argc, argv, ":f", table)) != -1)
        switch (o) {
        case 'f':
            e->follow = true;
            break;
        case 's':
            good = ctl_since(optarg, &e->since_ms);
            break;
        case 'c':
            buf_clear(&e->cp);
            writer_quote(&e->cp, optarg, strlen(optarg));
            break;
        case 'C':
            e->cursor_path = optarg;
            break;
        case 't':
            good = take_type(e, optarg);
            break;
        case 'd':
            e->alone = true;
            good = journal_path_take(e->dir, sizeof e->dir, optarg, true);
            break;
        default:
            good = false;
        }
    if (good && optind < argc) {
        fprintf(
            stderr, "ocppctl: events takes no argument `%s'\n", argv[optind]);
        good = false;
    }
    if (!good)
        ctl_usage("events");
    return good ? CTL_DONE : CTL_USAGE;
}

static int
ask(struct events *e)
{
    e->mark = UINT64_MAX;
    buf_clear(&e->silent);
    if (e->alone)
        return CTL_DONE;
    return journal_path_ask(
        e->ctl, e->dir, sizeof e->dir, &e->mark, &e->silent);
}

/* --- events -------------------------------------------------------------- */

static bool
wanted(const struct events *e, const struct journal_line *line)
{
    const char *v;
    size_t      n;
    uint64_t    when;

    if (e->cp.len > 0 &&
        (!journal_line_field(line->p, line->len, "chargePointId", &v, &n) ||
            n != e->cp.len || memcmp(v, e->cp.p, n) != 0))
        return false;
    if (e->since_ms > 0 &&
        journal_line_field(line->p, line->len, "timestamp", &v, &n) && n > 2 &&
        clock_parse_rfc3339(v + 1, n - 2, &when) && when < e->since_ms)
        return false;
    if (!e->some_types)
        return true;
    if (!journal_line_field(line->p, line->len, "eventType", &v, &n) || n < 2)
        return false;
    for (unsigned i = 0; i < EVENTS; i++)
        if (e->type[i] && strlen(event_info[i].type) == n - 2 &&
            memcmp(event_info[i].type, v + 1, n - 2) == 0)
            return true;
    return false;
}

static bool
flush(struct events *e)
{
    for (size_t at = 0; at < e->out.len && !e->gone;) {
        ssize_t n = write(STDOUT_FILENO, e->out.p + at, e->out.len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            e->gone = true;
            if (errno != EPIPE) {
                ctl_report("cannot write the output: %s", strerror(errno));
                e->trouble = true;
            }
            break;
        }
        at += (size_t)n;
    }
    buf_clear(&e->out);
    return !e->gone;
}

static bool
save(struct events *e)
{
    struct buf why = BUF_INIT(4096);
    bool       good = cursor_save(&e->cursor, &why);

    if (!good) {
        ctl_report("%s", buf_cstr(&why));
        e->trouble = true;
    }
    buf_free(&why);
    return good;
}

/* At the end, waits until the reader has read all events. */
static void
save_rest(struct events *e)
{
    struct pollfd out = {.fd = STDOUT_FILENO};

    while (cursor_waits(&e->cursor)) {
        size_t before = e->cursor.n;
        if (!save(e) || (poll(&out, 1, GATHER_MS) > 0 && out.revents != 0))
            return;
        if (before == 1 && e->cursor.n == 1 && cursor_all_read(&e->cursor))
            return; /* the reader may not have handled the last event yet
                     */
    }
}

/* Prints the events below the mark that were not printed yet. */
static bool
print(struct events *e)
{
    struct journal_line line;
    struct buf          why = BUF_INIT(4096);

    while (journal_dir_next(e->s, e->mark, &line)) {
        size_t before = e->out.len;
        if (line.number > e->last)
            e->last = line.number;
        if (wanted(e, &line)) {
            printable_escape(&e->out, line.p, line.len);
            buf_addc(&e->out, '\n');
        }
        cursor_add(&e->cursor, line.number, e->out.len - before);
        if (e->out.len >= OUT_FLUSH && (!flush(e) || !save(e)))
            return false;
    }
    while (journal_dir_trouble(e->s, &why)) {
        ctl_report("%s", buf_cstr(&why));
        buf_clear(&why);
        e->trouble = true;
    }
    while (journal_dir_damaged(e->s, &why)) {
        ctl_report("%s", buf_cstr(&why));
        buf_clear(&why);
        e->trouble = true;
    }
    buf_free(&why);
    return flush(e) && save(e);
}

/* Reports that there is no journal, and if the daemon was not reached, the
 * reason for that too. */
static int
complain(struct events *e, struct buf *why)
{
    ctl_report("%s", buf_cstr(why));
    buf_free(why);
    if (e->silent.len == 0)
        return CTL_REFUSED;
    ctl_report("%s", buf_cstr(&e->silent));
    return CTL_NOT_RUNNING;
}

/* --- following ----------------------------------------------------------- */

/* Watches the directory and then opens it, in this order, so that no event that
 * is written after the first look goes unnoticed. */
static bool
begin(struct events *e, struct buf *why)
{
    struct journal_dir_want want = {.slot = -1,
        .from = e->last ? e->last + 1 : 0,
        .since_wall_ms = e->since_ms};

    if (e->follow) {
        if (e->inotify >= 0)
            close(e->inotify);
        e->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (e->inotify < 0 ||
            inotify_add_watch(e->inotify, e->dir,
                IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF) < 0) {
            buf_addf(why, "cannot watch %s: %s", e->dir, strerror(errno));
            if (errno == ENOSPC || errno == EMFILE)
                buf_adds(why,
                    "; raise fs.inotify.max_user_watches and "
                    "max_user_instances (sysctl)");
            return false;
        }
    }
    e->s = journal_dir_open(e->dir, &want, why);
    return e->s != NULL;
}

static void
sleep_ms(unsigned ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

/* Waits until an event is written, at most ms. False if the reader has closed
 * the output. */
static bool
await(struct events *e, int ms)
{
    struct pollfd fd[2] = {
        {.fd = e->inotify, .events = POLLIN}, {.fd = STDOUT_FILENO}};
    char drain[8192];

    int n = poll(fd, 2, ms);
    if (fd[1].revents & (POLLERR | POLLHUP | POLLNVAL))
        return false;
    if (n <= 0 || !(fd[0].revents & POLLIN))
        return true;
    sleep_ms(GATHER_MS);
    while (read(e->inotify, drain, sizeof drain) > 0)
        ;
    return true;
}

/* Called when the directory was removed: opens a new one when it exists. */
static bool
begin_again(struct events *e)
{
    struct buf    why = BUF_INIT(4096);
    struct pollfd out = {.fd = STDOUT_FILENO};
    bool          reported = false;

    journal_dir_close(e->s);
    e->s = NULL;
    while (!begin(e, &why)) {
        if (!reported)
            ctl_report("%s (waiting for it)", buf_cstr(&why));
        reported = true;
        buf_clear(&why);
        if (poll(&out, 1, PATIENCE_MS) > 0)
            return false;
    }
    buf_free(&why);
    return true;
}

static int
follow(struct events *e)
{
    struct buf why = BUF_INIT(4096);
    int        patience = GATHER_MS;

    for (;;) {
        uint64_t before = e->mark;
        /* While the mark does not move (if a disk fails), the daemon is asked
         * less often. */
        if (!await(e,
                journal_dir_waiting(e->s)      ? patience
                    : cursor_waits(&e->cursor) ? SAVE_MS
                                               : IDLE_MS))
            return CTL_DONE;
        int result = ask(e);
        if (result != CTL_DONE)
            return result;
        patience = e->mark != before     ? GATHER_MS
            : 2 * patience < PATIENCE_MS ? 2 * patience
                                         : PATIENCE_MS;
        buf_clear(&why);
        if (!journal_dir_refresh(e->s, &why) && !begin_again(e))
            return CTL_DONE;
        if (!print(e))
            return CTL_DONE;
    }
}

/* --follow without --since begins with the events that are not durable yet. */
static void
from_now(struct events *e)
{
    if (!e->follow || e->since_ms > 0 || e->cursor_path != NULL)
        return;
    if (e->mark != UINT64_MAX && e->mark > 0)
        e->last = e->mark - 1;
    else
        e->since_ms = clock_wall_ms();
}

int
ctl_events(int argc, char **argv, const struct ctl *ctl)
{
    struct events e = {.ctl = ctl,
        .inotify = -1,
        .cp = BUF_INIT(4096),
        .silent = BUF_INIT(4096),
        .out = BUF_INIT(2 * JOURNAL_LINE_MAX)};
    struct buf    why = BUF_INIT(4096);
    int           result = options(&e, argc, argv);

    signal(SIGPIPE, SIG_IGN);
    if (result == CTL_DONE)
        result = ask(&e);
    if (result == CTL_DONE && e.dir[0] == '\0')
        result = journal_path_configured(ctl, e.dir, sizeof e.dir);
    if (result == CTL_DONE && e.cursor_path != NULL &&
        !cursor_open(&e.cursor, e.cursor_path, &e.last, &why)) {
        ctl_report("%s", buf_cstr(&why));
        result = CTL_REFUSED;
    }
    if (result == CTL_DONE) {
        if (e.last > 0)
            e.since_ms = 0; /* --since applies only to the first run */
        from_now(&e);
        if (!begin(&e, &why))
            result = complain(&e, &why);
        else if (print(&e) && e.follow)
            result = follow(&e);
        save_rest(&e);
        if (e.trouble)
            result = CTL_REFUSED;
    }
    if (e.s != NULL)
        journal_dir_close(e.s);
    free(e.cursor.steps);
    if (e.inotify >= 0)
        close(e.inotify);
    buf_free(&e.cp);
    buf_free(&e.silent);
    buf_free(&e.out);
    return result;
}
