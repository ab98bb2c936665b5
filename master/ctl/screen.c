/* screen: the terminal that ocppctl draws on. See ctl/screen.h. */
#include "ctl/screen.h"
#include "file.h"
#include "printable.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#define FRAME_MAX (1u << 20)

static struct termios before;
static bool           taken;
static int            signals = -1;

/* Errors are ignored here, because screen_wait() notices that the terminal is
 * gone. */
static void
say(const char *p, size_t n)
{
    file_write(STDOUT_FILENO, p, n);
}

static void
put(const char *s)
{
    say(s, strlen(s));
}

/* Switches to the alternate screen without a cursor. Keys come without echo and
 * line editing, ^S included; ^C and ^Z remain signals. */
static bool
take(void)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0)
        return false;
    put("\033[?1049h\033[?25l\033[H\033[J");
    return taken = true;
}

void
screen_close(void)
{
    if (!taken)
        return;
    taken = false;
    put("\033[0m\033[?25h\033[?1049l");
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
}

bool
screen_open(const char **why)
{
    sigset_t set;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        *why = "standard input and output are not a terminal; -b prints one "
               "screen anywhere";
        return false;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGWINCH);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGCONT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || !take()) {
        *why = strerror(errno);
        return false;
    }
    atexit(screen_close);
    return true;
}

void
screen_size(unsigned *rows, unsigned *columns)
{
    struct winsize w;

    *rows = 24;
    *columns = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0 &&
        w.ws_col > 0) {
        *rows = w.ws_row;
        *columns = w.ws_col;
    }
}

static int
take_signal(void)
{
    struct signalfd_siginfo si;

    if (read(signals, &si, sizeof si) != sizeof si)
        return SCREEN_TIME;
    switch (si.ssi_signo) {
    case SIGWINCH:
        return SCREEN_RESIZED;
    case SIGTSTP:
        screen_close();
        raise(SIGSTOP);
        return take() ? SCREEN_RESIZED : SCREEN_QUIT;
    case SIGCONT: /* the process may have been stopped by SIGSTOP, which has no
                     handler */
        if (taken)
            screen_close();
        return take() ? SCREEN_RESIZED : SCREEN_QUIT;
    }
    return SCREEN_QUIT;
}

int
screen_wait(int timeout_ms)
{
    struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = signals, .events = POLLIN}};
    unsigned char key;

    if (poll(p, 2, timeout_ms) <= 0)
        return SCREEN_TIME;
    if (p[1].revents != 0)
        return take_signal();
    if (read(STDIN_FILENO, &key, 1) == 1)
        return key;
    return errno == EINTR || errno == EAGAIN ? SCREEN_TIME : SCREEN_QUIT;
}

void
screen_put(struct buf *out, const char *text, unsigned columns)
{
    size_t left = strlen(text), len;

    for (; columns > 0 && left > 0; columns--, text += len, left -= len) {
        bool good;
        len = printable_next(text, left, &good);
        if (good) {
            buf_add(out, text, len);
        } else {
            buf_addc(out, '?');
        }
    }
    for (; columns > 0; columns--)
        buf_addc(out, ' ');
}

/* Writes one line, cut at the last column. */
static void
put_line(struct buf *out, const char *p, size_t n, unsigned columns)
{
    bool marked = n > 0 && (*p == '\1' || *p == '\2');

    if (marked) {
        buf_adds(out, *p == '\1' ? "\033[7m" : "\033[1m");
        p++;
        n--;
    }
    for (size_t len; n > 0 && columns > 0; p += len, n -= len, columns--) {
        bool good;
        len = printable_next(p, n, &good);
        if (good)
            buf_add(out, p, len);
        else
            buf_addc(out, '?');
    }
    if (marked) {
        buf_adds(out, "\033[0m");
    }
    buf_adds(out, "\033[K");
}

void
screen_show(const struct buf *lines)
{
    struct buf  out = BUF_INIT(FRAME_MAX);
    const char *p = lines->p, *end = p + lines->len;
    unsigned    rows, columns;

    screen_size(&rows, &columns);
    buf_adds(&out, "\033[H");
    for (unsigned row = 0; row < rows && p < end; row++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        if (nl == NULL)
            nl = end;
        if (row > 0)
            buf_adds(&out, "\r\n");
        put_line(&out, p, (size_t)(nl - p), columns);
        p = nl < end ? nl + 1 : end;
    }
    buf_adds(&out, "\033[J");
    say(out.p, out.len);
    buf_free(&out);
}
