/* program: runs another program. See program.h. */
#include "upgrade/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ev.h>

#include "base/master.h"
#include "workers/child.h"

#define TEXT_MAX 16384

static struct {
    pid_t      pid; /* 0: no program runs */
    int        pipe;
    int        code;
    bool       ended; /* the process */
    struct buf text;
    ev_io      io;
    ev_child   child;
    ev_timer   timer;
    void (*done)(int code, struct buf *text);
} run;

static void
forget(void)
{
    ev_io_stop(master.loop, &run.io);
    ev_child_stop(master.loop, &run.child);
    ev_timer_stop(master.loop, &run.timer);
    if (run.pipe >= 0)
        close(run.pipe);
    run.pipe = -1;
    run.pid = 0;
}

static void
finish(void)
{
    struct buf text = run.text;
    int        code = run.code;

    forget();
    run.text = BUF_INIT(TEXT_MAX);
    run.done(code, &text);
    buf_free(&text);
}

void
program_stop(void)
{
    if (run.pid == 0)
        return;
    kill(run.pid, SIGKILL);
    while (!run.ended && waitpid(run.pid, NULL, 0) < 0 && errno == EINTR)
        ;
    forget();
    buf_free(&run.text);
}

/* Reads the available output. Output that does not fit into the text is
   lost. */
static void
read_text(void)
{
    char    some[4096];
    ssize_t n;

    while ((n = read(run.pipe, some, sizeof some)) > 0 ||
        (n < 0 && errno == EINTR))
        if (n > 0)
            buf_add(&run.text, some, (size_t)n);
    if (n == 0)
        ev_io_stop(master.loop, &run.io);
}

static void
out_cb(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop, (void)w, (void)events;
    read_text();
}

static void
ended_cb(struct ev_loop *loop, ev_child *w, int events)
{
    char how[CHILD_END_LEN];

    (void)events;
    ev_child_stop(loop, w);
    /* A child of the program may keep the pipe open, so only the available
       output is read. */
    read_text();
    run.ended = true;
    run.code = -1;
    if (WIFEXITED(w->rstatus)) {
        run.code = WEXITSTATUS(w->rstatus);
    } else {
        child_end_text(how, w->rstatus);
        buf_clear(&run.text);
        buf_addf(&run.text, "it %s", how);
    }
    finish();
}

static void
late_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)w, (void)events;
    kill(run.pid, SIGKILL);
    while (waitpid(run.pid, NULL, 0) < 0 && errno == EINTR)
        ;
    run.code = -1;
    buf_clear(&run.text);
    buf_adds(&run.text, "it did not end within upgrade.patience");
    finish();
}

static void execute(char *const argv[]) __attribute__((noreturn));

static void
execute(char *const argv[])
{
    execv(argv[0], argv);
    dprintf(STDERR_FILENO, "cannot be executed: %s", strerror(errno));
    _exit(PROGRAM_NOT_EXECUTED);
}

void
program_run(
    char *const argv[], unsigned ms, void (*done)(int code, struct buf *text))
{
    int ends[2];

    program_stop();
    run.text = BUF_INIT(TEXT_MAX);
    run.done = done;
    run.ended = false;
    run.pipe = -1;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        buf_addf(&run.text, "cannot make a pipe: %s", strerror(errno));
        run.code = -1;
        finish();
        return;
    }
    pid_t pid = child_fork(&ends[1], 1);
    if (pid == 0) {
        fcntl(ends[1], F_SETFL, 0);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execute(argv);
    }
    close(ends[1]);
    run.pipe = ends[0];
    if (pid < 0) {
        buf_addf(&run.text, "cannot fork: %s", strerror(errno));
        run.code = -1;
        finish();
        return;
    }
    run.pid = pid;
    ev_io_init(&run.io, out_cb, run.pipe, EV_READ);
    ev_io_start(master.loop, &run.io);
    ev_child_init(&run.child, ended_cb, pid, 0);
    ev_child_start(master.loop, &run.child);
    ev_timer_init(&run.timer, late_cb, ms / 1000.0, 0);
    ev_timer_start(master.loop, &run.timer);
}

pid_t
program_start(char *const argv[], int end)
{
    pid_t pid = child_fork(&end, 1);

    if (pid == 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", end);
        setenv(PROGRAM_VARIABLE, number, 1);
        fcntl(end, F_SETFD, 0);
        execute(argv);
    }
    return pid;
}
