/* daemonize: detaches the daemon from the terminal. See daemonize.h. */
#include "daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/master.h"

/* The daemon's end of the pipe, which takes one byte (the exit code) and a
 * text. -1 in the foreground, and after the verdict was sent. */
static int verdict = -1;

static void wait_for_verdict(int fd) __attribute__((noreturn));

static void
wait_for_verdict(int fd)
{
    char    text[4096];
    size_t  n = 0;
    ssize_t r;

    while (n < sizeof text &&
        ((r = read(fd, text + n, sizeof text - n)) > 0 ||
            (r < 0 && errno == EINTR)))
        n += r > 0 ? (size_t)r : 0;
    if (n == 0) {
        fprintf(
            stderr, "ocppd: the daemon ended without a reason; see its log\n");
        _exit(MASTER_EXIT_FAILED);
    }
    if (n > 1)
        fprintf(stderr, "ocppd: cannot start: %.*s\n", (int)(n - 1), text + 1);
    _exit(text[0]);
}

static void
fork_or_die(void)
{
    pid_t pid = fork();

    if (pid < 0) {
        fprintf(stderr, "ocppd: cannot fork: %s\n", strerror(errno));
        exit(MASTER_EXIT_FAILED);
    }
    if (pid > 0)
        _exit(0);
}

void
daemonize_enter(void)
{
    int ends[2];

    fflush(NULL);
    /* Descriptors inherited from the shell would stay open as long as the
       daemon runs. */
    close_range(3, ~0u, 0);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        fprintf(stderr, "ocppd: cannot make a pipe: %s\n", strerror(errno));
        exit(MASTER_EXIT_FAILED);
    }
    pid_t pid = fork();
    if (pid < 0) {
        fprintf(stderr, "ocppd: cannot fork: %s\n", strerror(errno));
        exit(MASTER_EXIT_FAILED);
    }
    if (pid > 0) {
        close(ends[1]);
        wait_for_verdict(ends[0]);
    }
    close(ends[0]);
    setsid();
    fork_or_die(); /* a process that is not a session leader cannot acquire a
                      terminal by accident */
    verdict = ends[1];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2 && null >= 0; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
}

static void
report(int code, const char *text)
{
    char message[4096];

    message[0] = (char)code;
    size_t n = strlen(text);
    if (n > sizeof message - 1)
        n = sizeof message - 1;
    /* The reader uses the length.
     * NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
    memcpy(message + 1, text, n);
    (void)!write(verdict, message, n + 1);
    close(verdict);
    verdict = -1;
}

void
daemonize_ready(void)
{
    if (verdict >= 0)
        report(MASTER_EXIT_DONE, "");
}

void
daemonize_failed(int code, const char *why, bool print)
{
    if (verdict >= 0)
        report(code, why);
    else if (print)
        fprintf(stderr, "ocppd: cannot start: %s\n", why);
}
