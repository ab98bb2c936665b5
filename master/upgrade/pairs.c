/* pairs: the socket pairs through which slots move. See pairs.h. */
#include "upgrade/pairs.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "base/master.h"
#include "cref.h"

static struct pair {
    int   end;   /* the old worker's end; -1: closed */
    ev_io hello; /* readable when the heir at the other end is prepared */
    bool  prepared;
} pairs[CREF_SLOTS];

static unsigned heirs, ready;
static void (*all_prepared)(void);

void
pairs_begin(unsigned n, void (*done)(void))
{
    heirs = n;
    all_prepared = done;
    for (unsigned i = 0; i < CREF_SLOTS; i++)
        pairs[i].end = -1;
}

int
pairs_end(unsigned slot)
{
    return pairs[slot].end;
}

void
pairs_close(unsigned slot)
{
    struct pair *p = &pairs[slot];

    ev_io_stop(master.loop, &p->hello);
    if (p->end >= 0)
        close(p->end);
    p->end = -1;
    ready -= p->prepared;
    p->prepared = false;
}

int
pairs_make(unsigned slot)
{
    int ends[2];

    pairs_close(slot);
    if (socketpair(
            AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return -1;
    pairs[slot].end = ends[1];
    return ends[0];
}

/* Called when the heir has sent hello, which means that it is prepared. The
 * message is for the worker that hands over, so it is not read here. */
static void
hello_cb(struct ev_loop *loop, ev_io *w, int events)
{
    struct pair  *p = w->data;
    struct pollfd poll_fd = {.fd = w->fd, .events = POLLIN | POLLRDHUP};

    (void)events;
    ev_io_stop(loop, w);
    if (poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & POLLRDHUP)
        return; /* its death is reported separately */
    p->prepared = true;
    if (++ready == heirs)
        all_prepared();
}

int
pairs_make_heir(unsigned slot)
{
    int          end = pairs_make(slot);
    struct pair *p = &pairs[slot];

    if (end < 0)
        return -1;
    ev_io_init(&p->hello, hello_cb, p->end, EV_READ);
    p->hello.data = p;
    ev_io_start(master.loop, &p->hello);
    return end;
}
