/*
 * control: the clients of the unix socket that ocppctl talks to. See control.h.
 *
 *   accept -> LINE -> the command -> REPLY (written, closed)
 *                        |    ^
 *                        +-> WAIT      for a worker or the registry
 *                        +-> STREAM    until the client closes
 *
 * During an upgrade only some commands are executed. The lines of other
 * commands wait (HELD), and move to the new program with their clients.
 */
#include "control/control_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/tokens.h"
#include "base/master.h"
#include "clock.h"
#include "control_line.h"
#include "log.h"

static struct peer *peers[CONTROL_CLIENTS];
static unsigned     n_peers;
static bool         holding; /* an upgrade is in progress */

static void (*execute)(struct client *c, int argc, char **argv);
static bool (*served)(const char *word);

void
control_serve(void (*run)(struct client *c, int argc, char **argv),
    bool (*is_served)(const char *word))
{
    execute = run;
    served = is_served;
}

void
control_drop(struct peer *p)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (peers[i] == p)
            peers[i] = NULL;
    n_peers--;
    if (p->shown.gone != NULL)
        p->shown.gone(&p->shown);
    ev_io_stop(master.loop, &p->in);
    ev_io_stop(master.loop, &p->out);
    ev_timer_stop(master.loop, &p->timer);
    close(p->fd);
    buf_free(&p->line);
    buf_free(&p->reply);
    free(p);
}

struct peer *
control_peer(unsigned i)
{
    return peers[i];
}

struct client *
control_client(uint64_t id)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (peers[i] != NULL && peers[i]->shown.id == id)
            return &peers[i]->shown;
    return NULL;
}

void
control_described(uint64_t asked, const char *json, size_t len)
{
    while (len > 0 && (json[len - 1] == '\0' || json[len - 1] == '\n'))
        len--;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        struct peer *p = peers[i];
        if (p != NULL && p->phase == WAIT && p->shown.asked == asked &&
            p->shown.described != NULL) {
            p->shown.described(&p->shown, json, len);
            return;
        }
    }
}

void
control_set_timer(struct peer *p, double after, double repeat)
{
    ev_timer_stop(master.loop, &p->timer);
    ev_timer_set(&p->timer, after, repeat);
    ev_timer_start(master.loop, &p->timer);
}

bool
control_may_wait(struct client *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        n += peers[i] != NULL &&
            (peers[i]->phase == WAIT || peers[i]->phase == STREAM);
    if (n < CONTROL_WAITING)
        return true;
    control_replyf(c, CONTROL_BUSY,
        "%d commands wait for their answers; nothing was done, try again",
        CONTROL_WAITING);
    return false;
}

void
control_wait(struct client *c, void (*poll)(struct client *c), uint64_t ms,
    const char *late)
{
    struct peer *p = (struct peer *)c;

    p->phase = WAIT;
    p->late = late;
    c->poll = poll;
    c->wait_until_ms = ms == 0 ? 0 : clock_mono_ms() + ms;
    control_set_timer(p, CONTROL_POLL_MS / 1000.0, CONTROL_POLL_MS / 1000.0);
}

/* --- in ------------------------------------------------------------------ */

/* True if the command of a line must wait until the upgrade has ended
 * (commands.def). The line is not changed. */
static bool
is_held(const struct peer *p, size_t len)
{
    struct buf          copy = BUF_INIT(LINE_MAX_BYTES + 3);
    struct control_line l;

    if (!holding)
        return false;
    if (!buf_add(&copy, p->line.p, len) || !buf_reserve(&copy, 1) ||
        !control_line_cut(&l, copy.p, len)) {
        buf_free(&copy);
        return false; /* a malformed line is reported at once */
    }
    int first = l.words > 1 && strcmp(l.word[0], "-k") == 0 ? 2 : 0;
    first += l.words > first &&
        (strcmp(l.word[first], "-j") == 0 || strcmp(l.word[first], "-p") == 0);
    bool held = l.words <= first || !served(l.word[first]);
    buf_free(&copy);
    return held;
}

static void
run(struct peer *p, size_t len)
{
    struct control_line l;
    int                 first = 0;

    if (is_held(p, len)) {
        p->phase = HELD;
        return;
    }
    p->phase = LINE;
    buf_reserve(&p->line, 1);
    if (!control_line_cut(&l, p->line.p, len)) {
        control_replyf(&p->shown, CONTROL_USAGE, "at byte %zu of the line: %s",
            l.where, control_line_error_text(l.error));
        return;
    }
    if (l.words > 1 && strcmp(l.word[0], "-k") == 0) {
        enum tokens_role role = tokens_judge(l.word[1]);
        if (role == TOKENS_NONE) {
            p->shown.format = 'j';
            control_replyf(
                &p->shown, CONTROL_UNKNOWN, "this token is not known");
            return;
        }
        /* A token adds rights and never removes any: root with a token keeps
           the rights of root. */
        p->shown.admin |= role == TOKENS_ADMIN;
        first = 2;
    }
    if (l.words > first && strcmp(l.word[first], "-j") == 0)
        p->shown.format = 'j';
    if (l.words > first && strcmp(l.word[first], "-p") == 0)
        p->shown.format = 'p';
    first += p->shown.format != 0;
    execute(&p->shown, l.words - first, l.word + first);
}

/* True if the other end has closed both directions of the socket. */
static bool
hung_up(int fd)
{
    struct pollfd p = {.fd = fd, .events = 0};

    return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static void
in_cb(struct ev_loop *loop, ev_io *w, int events)
{
    struct peer *p = w->data;
    char         some[16384];

    (void)events;
    ssize_t n = recv(p->fd, some, sizeof some, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (n <= 0 && (p->phase == WAIT || p->phase == HELD) && !hung_up(p->fd)) {
        /* The client has closed its sending direction but may still read; the
           timer watches for its end. */
        ev_io_stop(loop, w);
        return;
    }
    if (n <= 0) {
        /* A line without its newline is not executed. */
        control_drop(p);
        return;
    }
    if (p->phase != LINE)
        return; /* bytes after the line are ignored */
    size_t had = p->line.len;
    if (!buf_add(&p->line, some, (size_t)n)) {
        control_replyf(&p->shown, CONTROL_USAGE,
            "the line is longer than %u bytes", LINE_MAX_BYTES);
        return;
    }
    char *nl = memchr(p->line.p + had, '\n', (size_t)n);
    if (nl != NULL)
        run(p, (size_t)(nl + 1 - p->line.p));
}

static void
timer_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    struct peer *p = w->data;
    uint64_t     now = clock_mono_ms();

    (void)loop, (void)events;
    switch (p->phase) {
    case LINE:
        if (now >= p->deadline_ms)
            control_replyf(&p->shown, CONTROL_TIMEOUT,
                "no line arrived within %d s", CONTROL_LINE_MS / 1000);
        break;
    case HELD:
        if (!ev_is_active(&p->in) && hung_up(p->fd))
            control_drop(p);
        break;
    case WAIT:
        if (!ev_is_active(&p->in) && hung_up(p->fd)) {
            control_drop(p);
            return;
        }
        if (p->shown.poll != NULL)
            p->shown.poll(&p->shown);
        if (p->phase == WAIT && p->shown.wait_until_ms != 0 &&
            now >= p->shown.wait_until_ms)
            control_replyf(&p->shown, CONTROL_TIMEOUT, "%s", p->late);
        break;
    case STREAM:
        /* Frames are dropped for a slow reader; a client that reads nothing at
         * all is disconnected. */
        if (p->reply.len > 0 && now >= p->deadline_ms)
            control_drop(p);
        break;
    case REPLY:
        if (now >= p->deadline_ms)
            control_drop(p);
        break;
    }
}

static void
send_busy(int fd)
{
    static const char busy[] = "503 50\ntoo many clients of the control "
                               "socket, try again\n";

    (void)!send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The oldest client that has not sent its line yet. Programs send their line at
 * once, so this is rarely one of them. A client without the administrator's
 * rights cannot displace a client that has them. */
static struct peer *
longest_typing(bool admin)
{
    struct peer *found = NULL;

    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (peers[i] != NULL && peers[i]->phase == LINE &&
            (admin || !peers[i]->shown.admin) &&
            (found == NULL || peers[i]->shown.id < found->shown.id))
            found = peers[i];
    return found;
}

static bool
make_room(bool admin)
{
    if (n_peers < CONTROL_CLIENTS - (admin ? 0 : CONTROL_RESERVED))
        return true;
    struct peer *p = longest_typing(admin);
    if (p == NULL)
        return false;
    send_busy(p->fd);
    control_drop(p);
    return true;
}

struct peer *
control_add(int fd, uid_t uid, bool admin)
{
    static uint64_t last_id;

    struct peer *p = make_room(admin) ? calloc(1, sizeof *p) : NULL;
    if (p == NULL) {
        send_busy(fd);
        close(fd);
        return NULL;
    }
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (peers[i] == NULL) {
            peers[i] = p;
            break;
        }
    n_peers++;
    p->shown.id = ++last_id;
    p->shown.uid = uid;
    p->shown.admin = admin;
    p->fd = fd;
    /* Room for the newline, a carriage return and the NUL. */
    p->line = BUF_INIT(LINE_MAX_BYTES + 3);
    p->reply = BUF_INIT(CONTROL_REPLY_MAX);
    p->deadline_ms = clock_mono_ms() + CONTROL_LINE_MS;
    ev_io_init(&p->in, in_cb, fd, EV_READ);
    ev_io_init(&p->out, control_send_cb, fd, EV_WRITE);
    ev_init(&p->timer, timer_cb);
    p->in.data = p->out.data = p->timer.data = p;
    ev_io_start(master.loop, &p->in);
    control_set_timer(p, 1, 1);
    return p;
}

void
control_accepted(int fd, uid_t uid)
{
    control_add(fd, uid, uid == 0 || uid == geteuid());
}

void
control_adopt(int fd)
{
    control_add(fd, (uid_t)-1, false);
}

/* --- an upgrade: see also control_move.c --------------------------------- */

static void
run_held(struct peer *p)
{
    char *nl = memchr(p->line.p, '\n', p->line.len);

    p->deadline_ms = clock_mono_ms() + CONTROL_LINE_MS;
    p->phase = LINE;
    if (nl != NULL)
        run(p, (size_t)(nl + 1 - p->line.p));
}

void
control_hold(bool hold)
{
    holding = hold;
    for (unsigned i = 0; i < CONTROL_CLIENTS && !hold; i++)
        if (peers[i] != NULL && peers[i]->phase == HELD)
            run_held(peers[i]);
}

void
control_close(void)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (peers[i] != NULL) {
            /* The kernel's buffer may have room for the written part of the
               reply. */
            struct peer *p = peers[i];
            if (p->reply.len > p->written)
                (void)!send(p->fd, p->reply.p + p->written,
                    p->reply.len - p->written, MSG_NOSIGNAL | MSG_DONTWAIT);
            control_drop(p);
        }
}
