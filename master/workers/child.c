/*
 * child: starts processes of the master, and describes their ends.
 *
 * No exec follows the fork, so close-on-exec does not help. The child must not
 * hold other slots' listeners, which would keep ports open, other ends of
 * channels, which would hide a death, or control clients, which would never see
 * their end. So all descriptors between those that it keeps are closed by
 * number.
 */
#include "workers/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/master.h"
#include "base/up.h"
#include "ensure.h"
#include "helper.h"
#include "log.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 30000
/* Descriptors; more than two listeners per worker are unusual. */
#define KEEP_MAX 512

static int
compare_ints(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

static void
close_others(const int *keep, size_t n)
{
    int    fds[KEEP_MAX];
    size_t used = 0;

    ensure(n + 4 <= KEEP_MAX);
    for (int fd = 0; fd <= 2; fd++)
        fds[used++] = fd;
    fds[used++] = log_fd();
    memcpy(fds + used, keep, n * sizeof *keep);
    used += n;
    qsort(fds, used, sizeof *fds, compare_ints);

    unsigned next = 0; /* all descriptors below this one were handled */
    for (size_t i = 0; i < used; i++) {
        if (fds[i] < 0)
            continue;
        if ((unsigned)fds[i] > next)
            close_range(next, (unsigned)fds[i] - 1, 0);
        next = (unsigned)fds[i] + 1;
    }
    close_range(next, ~0u, 0);
}

pid_t
child_fork(const int *keep, size_t n)
{
    sigset_t all, old;

    /* Signals are blocked while the child still has the master's handlers,
     * which would write into the pipe of the master's loop. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    pid_t pid = fork();
    if (pid != 0) {
        int saved = errno;
        sigprocmask(SIG_SETMASK, &old, NULL);
        errno = saved;
        return pid;
    }

    up_forget_signals();
    ev_loop_destroy(EV_DEFAULT);
    master.loop = NULL;
    close_others(keep, n);
    helper_forget();
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    /* ^C at the terminal must reach only the master, which drains its
       workers. */
    setpgid(0, 0);
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return 0;
}

void
child_end_text(char out[CHILD_END_LEN], int status)
{
    if (WIFSIGNALED(status))
        snprintf(out, CHILD_END_LEN, "was killed by signal %d (%s)%s",
            WTERMSIG(status), strsignal(WTERMSIG(status)),
            WCOREDUMP(status) ? ", core dumped" : "");
    else
        snprintf(
            out, CHILD_END_LEN, "exited with code %d", WEXITSTATUS(status));
}

uint64_t
child_backoff(uint64_t *backoff_ms, uint64_t lived_ms)
{
    if (lived_ms >= CHILD_DECENT_LIFE_MS) {
        *backoff_ms = 0;
        return 0;
    }
    *backoff_ms = *backoff_ms == 0 ? BACKOFF_FIRST_MS : *backoff_ms * 2;
    if (*backoff_ms > BACKOFF_MAX_MS)
        *backoff_ms = BACKOFF_MAX_MS;
    return *backoff_ms;
}

void
child_kill(pid_t *pid)
{
    if (*pid == 0)
        return;
    kill(*pid, SIGKILL);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *pid = 0;
}
