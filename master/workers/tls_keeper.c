/* tls_keeper: certificates, keys and ticket keys. See tls_keeper.h. */
#include "workers/tls_keeper.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/master.h"
#include "base/up.h"
#include "clock.h"
#include "helper.h"
#include "log.h"
#include "number.h"
#include "ticket.h"
#include "tls_bundle.h"
#include "worker/worker.h"
#include "workers/child.h"

/* Ms that the checker has; it may have to read thousands of certificates. */
#define CHECK_MS 60000
#define WATCH_MS 2000 /* ms between two looks at the files */
#define REPORT_MAX (256u * 1024)

/* The files that the checker has accepted, or that are in force. */
struct kept {
    int                 fd; /* -1: no TLS */
    uint64_t            stamp;
    uint32_t            n;
    struct shm_tls_file files[SHM_TLS_FILES];
};

static struct kept candidate = {.fd = -1}, kept = {.fd = -1};
static uint64_t    looked_ms, seen_stamp, refused_stamp;
static uint64_t    round_n; /* rises each time that files come into force */

static bool
wanted(const struct config *c)
{
    return c->server_listen_tls[0] != '\0' || c->tls_certificate[0] != '\0';
}

/* --- the checker --------------------------------------------------------- */

static void run_checker(const struct config *c, int bundle, int to)
    __attribute__((noreturn));

static void
run_checker(const struct config *c, int bundle, int to)
{
    struct buf out = BUF_INIT(REPORT_MAX);

    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* the process holds private keys */
    signal(SIGPIPE, SIG_IGN);
    worker_check_tls(c, bundle, &out);
    for (size_t at = 0; at < out.len;) {
        ssize_t r = write(to, out.p + at, out.len - at);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        at += (size_t)r;
    }
    _exit(0);
}

/* Reads the whole report, within CHECK_MS. */
static bool
read_all(int fd, struct buf *out)
{
    uint64_t until = clock_mono_ms() + CHECK_MS;
    char     part[4096];

    for (;;) {
        uint64_t      now = clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (now >= until)
            return false;
        int ready = poll(&p, 1, (int)(until - now));
        if (ready < 0 && errno != EINTR)
            return false;
        if (ready <= 0)
            continue;
        ssize_t r = read(fd, part, sizeof part);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r == 0;
        if (!buf_add(out, part, (size_t)r))
            return false;
    }
}

/* Reads the line of a file: FILE, NAME, SERIAL, TYPE, TIME, separated by
   tabs. */
static void
take_file(struct kept *k, char *line)
{
    char *field[5];

    for (int n = 0; n < 5; n++)
        if ((field[n] = strsep(&line, "\t")) == NULL)
            return;
    if (k->n == SHM_TLS_FILES)
        return;
    struct shm_tls_file *to = &k->files[k->n++];
    memset(to, 0, sizeof *to);
    snprintf(to->file, sizeof to->file, "%s", field[0]);
    snprintf(to->name, sizeof to->name, "%s", field[1]);
    snprintf(to->serial, sizeof to->serial, "%s", field[2]);
    snprintf(to->type, sizeof to->type, "%s", field[3]);
    if (!number_i64(
            field[4], strlen(field[4]), INT64_MIN, INT64_MAX, &to->not_after))
        to->not_after = 0;
}

/* The first letter of a line is E for an error, N for a note, F for a file, or
 * O at the end. True if it ended without an error. */
static bool
take_report(
    struct kept *k, struct buf *report, struct buf *errors, struct buf *notes)
{
    bool  good = true, whole = false;
    char *line = buf_cstr(report);

    while (line != NULL && *line != '\0') {
        char *next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (line[0] == 'E') {
            buf_addf(errors, "%s\n", line + 1);
            good = false;
        } else if (line[0] == 'N') {
            buf_addf(notes, "%s\n", line + 1);
        } else if (line[0] == 'F') {
            take_file(k, line + 1);
        } else if (line[0] == 'O') {
            whole = true;
        }
        line = next;
    }
    if (!whole)
        buf_adds(errors,
            "tls: the process that checks the certificates crashed, or took "
            "longer than 60 s; see the log, or try again when the machine is "
            "less busy\n");
    return good && whole;
}

/* Forks the checker; returns the descriptor that its report comes from, -1 with
 * a line in errors. */
static int
start_checker(const struct kept *k, const struct config *c, pid_t *pid,
    struct buf *errors)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0) {
        buf_addf(errors, "tls: cannot check: %s\n", strerror(errno));
        return -1;
    }
    const int keep[2] = {ends[1], k->fd};
    *pid = child_fork(keep, 2);
    if (*pid == 0)
        run_checker(c, k->fd, ends[1]);
    close(ends[1]);
    if (*pid < 0) {
        buf_addf(errors, "tls: cannot check: %s\n", strerror(errno));
        close(ends[0]);
        return -1;
    }
    return ends[0];
}

/* Called when the report has ended, or the checker took too long. */
static void
end_checker(int from, pid_t pid)
{
    kill(pid, SIGKILL);
    close(from);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static bool
check(struct kept *k, const struct config *c, struct buf *errors,
    struct buf *notes)
{
    struct buf report = BUF_INIT(REPORT_MAX);
    pid_t      pid;
    int        from = start_checker(k, c, &pid, errors);

    if (from < 0)
        return false;
    read_all(from, &report);
    end_checker(from, pid);
    bool good = take_report(k, &report, errors, notes);
    buf_free(&report);
    return good;
}

bool
tls_keeper_load(
    const struct config *c, struct tls_loaded *out, struct buf *errors)
{
    *out = (struct tls_loaded){.fd = -1};
    if (!wanted(c))
        return true;
    out->stamp = tls_bundle_stamp(c);
    out->fd = tls_bundle_make(c, errors);
    return out->fd >= 0;
}

static void
set_candidate(const struct kept *next)
{
    if (candidate.fd >= 0)
        close(candidate.fd);
    candidate = *next;
}

bool
tls_keeper_check(const struct config *c, struct buf *errors, struct buf *notes)
{
    struct tls_loaded l;

    if (!tls_keeper_load(c, &l, errors))
        return false;
    struct kept next = {.fd = l.fd, .stamp = l.stamp};
    if (l.fd >= 0 && !check(&next, c, errors, notes)) {
        close(next.fd);
        return false;
    }
    set_candidate(&next);
    return true;
}

/* --- ticket keys --------------------------------------------------------- */

static void
set_tickets(void)
{
    const struct config *c = &master.config;
    struct ticket_keys  *keys = &master.shm->tickets;
    struct buf           all = BUF_INIT(0), why = BUF_INIT(256);
    struct tls_item      item;
    bool                 good = true;

    if (kept.fd < 0 || !c->tls_tickets) {
        ticket_none(keys);
        return;
    }
    if (c->tls_ticket_key_file[0] == '\0') {
        if (keys->n == 0)
            good = ticket_start(keys, clock_wall_ms());
    } else if (tls_bundle_read(kept.fd, &all)) {
        for (size_t at = 0; tls_bundle_next(&all, &at, &item);)
            if (item.kind == TLS_FILE_TICKET_KEYS)
                good = ticket_load(
                    keys, item.data, item.len, clock_wall_ms(), &why);
    }
    if (!good)
        log_error("tls.ticket_key_file = %s: %s", c->tls_ticket_key_file,
            buf_cstr(&why));
    tls_bundle_wipe(&all);
    buf_free(&why);
}

/* --- in force ------------------------------------------------------------ */

void
tls_keeper_adopt(void)
{
    struct shm *s = master.shm;

    if (kept.fd >= 0)
        close(kept.fd);
    kept = candidate;
    candidate = (struct kept){.fd = -1};
    refused_stamp = 0;
    seen_stamp = kept.stamp;
    round_n++;
    memcpy(s->tls_files, kept.files, sizeof s->tls_files);
    s->tls_files_n = kept.n;
    s->tls_loaded_ms = kept.fd >= 0 ? clock_wall_ms() : 0;
    set_tickets();
}

int
tls_keeper_bundle(void)
{
    return kept.fd;
}

/* --- changed files ------------------------------------------------------- */

/*
 * A disk may hang, and the check of thousands of certificates takes long. So a
 * helper examines and reads the files, and the loop waits for the checker's
 * report. If a reload happens meanwhile, the result is dropped, because the
 * reload has read all files (round).
 */
static struct helper helper =
    HELPER_INIT("ocppd-tls", "the disk of the certificates", 1, 10 * WATCH_MS);

struct look {
    struct helper_job h;
    uint64_t          round;
    uint64_t          kept, seen, refused; /* stamps */
    uint64_t          stamp;
    int               fd; /* the bundle of the changed files; -1: none */
    struct buf        errors;
    struct config     c;
};

static struct {
    bool        on;
    ev_io       io;
    pid_t       pid;
    uint64_t    since_ms;
    struct kept next;
    struct buf  report;
    /* Set by a reload; NULL if the check was started because files have
     * changed. */
    void (*judged)(bool good);
    struct buf *errors, *notes;
} checking;

static void
refuse_files(uint64_t stamp, struct buf *errors)
{
    refused_stamp = stamp;
    log_lines(LOG_LEVEL_ERROR, "", buf_cstr(errors));
    log_error("TLS: changed certificate files are not used, because of "
              "the errors above; the former ones stay in force");
}

static void
checked(void)
{
    struct buf errors = BUF_INIT(REPORT_MAX), notes = BUF_INIT(REPORT_MAX);
    void (*judged)(bool) = checking.judged;

    ev_io_stop(master.loop, &checking.io);
    end_checker(checking.io.fd, checking.pid);
    checking.on = false;
    bool good = take_report(&checking.next, &checking.report,
        judged != NULL ? checking.errors : &errors,
        judged != NULL ? checking.notes : &notes);
    if (good)
        set_candidate(&checking.next);
    else
        close(checking.next.fd);
    buf_free(&checking.report);
    if (judged != NULL) {
        judged(good);
    } else if (good) {
        tls_keeper_adopt();
        up_certificates();
        log_lines(LOG_LEVEL_WARN, "", buf_cstr(&notes));
        log_info("TLS: changed certificate files are in force");
    } else {
        refuse_files(checking.next.stamp, &errors);
    }
    buf_free(&errors);
    buf_free(&notes);
}

static void
report_cb(struct ev_loop *loop, ev_io *w, int events)
{
    char part[4096];

    (void)loop, (void)events;
    ssize_t r = read(w->fd, part, sizeof part);
    if (r < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (r <= 0 || !buf_add(&checking.report, part, (size_t)r))
        checked();
}

/* Drops the result, because a reload has read all files since then. */
static void
forget_checker(void)
{
    round_n++;
    if (!checking.on)
        return;
    ev_io_stop(master.loop, &checking.io);
    end_checker(checking.io.fd, checking.pid);
    close(checking.next.fd);
    buf_free(&checking.report);
    checking.on = false;
}

/* Starts the check of changed files; false with a line in errors. */
static bool
check_soon(const struct config *c, int fd, uint64_t stamp, struct buf *errors)
{
    checking.next = (struct kept){.fd = fd, .stamp = stamp};
    int from = start_checker(&checking.next, c, &checking.pid, errors);
    if (from < 0) {
        close(fd);
        return false;
    }
    checking.on = true;
    checking.judged = NULL;
    checking.since_ms = clock_mono_ms();
    checking.report = BUF_INIT(REPORT_MAX);
    ev_io_init(&checking.io, report_cb, from, EV_READ);
    ev_io_start(master.loop, &checking.io);
    return true;
}

static void
check_changed(int fd, uint64_t stamp)
{
    struct buf errors = BUF_INIT(REPORT_MAX);

    if (!check_soon(&master.config, fd, stamp, &errors))
        log_lines(LOG_LEVEL_ERROR, "", buf_cstr(&errors));
    buf_free(&errors);
}

void
tls_keeper_judge(const struct config *c, const struct tls_loaded *l,
    struct buf *errors, struct buf *notes, void (*judged)(bool good))
{
    forget_checker();
    if (l->fd < 0) {
        set_candidate(&(struct kept){.fd = -1});
        judged(true);
    } else if (check_soon(c, l->fd, l->stamp, errors)) {
        checking.judged = judged;
        checking.errors = errors;
        checking.notes = notes;
    } else {
        judged(false);
    }
}

/* A file that has changed again since the last look may be half written. */
static void
look_work(struct helper_job *h)
{
    struct look *l = (struct look *)h;

    l->stamp = tls_bundle_stamp(&l->c);
    if (l->stamp != l->kept && l->stamp == l->seen && l->stamp != l->refused)
        l->fd = tls_bundle_make(&l->c, &l->errors);
}

static void
looked(struct helper_job *h)
{
    struct look *l = (struct look *)h;

    if (l->round != round_n || checking.on) {
        if (l->fd >= 0)
            close(l->fd);
    } else {
        seen_stamp = l->stamp;
        if (l->fd >= 0)
            check_changed(l->fd, l->stamp);
        else if (l->errors.len > 0)
            refuse_files(l->stamp, &l->errors);
    }
    buf_free(&l->errors);
    free(l);
}

static void
look(void)
{
    struct look *l = helper_busy(&helper) ? NULL : malloc(sizeof *l);

    if (l == NULL)
        return;
    *l = (struct look){.h = {.work = look_work, .done = looked},
        .round = round_n,
        .kept = kept.stamp,
        .seen = seen_stamp,
        .refused = refused_stamp,
        .fd = -1,
        .errors = BUF_INIT(REPORT_MAX),
        .c = master.config};
    if (!helper_submit(&helper, &l->h))
        free(l);
}

void
tls_keeper_tick(void)
{
    const struct config *c = &master.config;
    uint64_t             now = clock_mono_ms();

    if (checking.on && now - checking.since_ms >= CHECK_MS)
        checked();
    if (kept.fd < 0)
        return;
    if (!checking.on && now - looked_ms >= WATCH_MS) {
        looked_ms = now;
        look();
    }
    if (c->tls_tickets && c->tls_ticket_key_file[0] == '\0' &&
        clock_wall_ms() - master.shm->tickets.since_ms >=
            c->tls_ticket_rotation)
        ticket_rotate(&master.shm->tickets, clock_wall_ms());
}
