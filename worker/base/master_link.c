/* master_link: the worker's end of its channel to the master. See
 * master_link.h. */
#include "base/master_link.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "base/up.h"
#include "channel.h"
#include "clock.h"
#include "log.h"

struct waiting {
    struct waiting    *next;
    struct channel_msg msg;
    char               body[];
};

static int              fd = -1;
static ev_io            watcher;
static struct waiting  *first;
static struct waiting **last = &first;

static bool
try_send(enum channel_type type, uint64_t id, cref conn, uint64_t arg,
    const void *body, size_t len)
{
    struct channel_msg m = {.type = type, .id = id, .conn = conn, .arg = arg};

    return channel_send(fd, &m, body, len);
}

/* Sends a datagram that must arrive. It is sent after those that already wait,
 * so their order is kept. */
static void
send_surely(enum channel_type type, uint64_t id, uint64_t arg, const char *body,
    size_t len)
{
    if (first == NULL && try_send(type, id, 0, arg, body, len))
        return;
    struct waiting *w = malloc(sizeof *w + len);
    if (w == NULL) {
        log_error(
            "no memory to send an outcome to the master; the client of the "
            "command will time out");
        return;
    }
    w->next = NULL;
    w->msg = (struct channel_msg){
        .type = type, .id = id, .arg = arg, .len = (uint32_t)len};
    if (len > 0)
        memcpy(w->body, body, len);
    *last = w;
    last = &w->next;
}

void
master_link_tick(void)
{
    while (first != NULL) {
        struct waiting *w = first;
        if (!channel_send(fd, &w->msg, w->body, w->msg.len))
            return;
        first = w->next;
        if (first == NULL)
            last = &first;
        free(w);
    }
}

void
master_link_ready(void)
{
    try_send(CHANNEL_ready, 0, 0, 0, NULL, 0);
}

void
master_link_described(uint64_t request, const char *body, size_t len)
{
    send_surely(CHANNEL_described, request, 0, body, len);
}

void
master_link_takeover(cref former, uint32_t entry, uint64_t generation)
{
    if (!try_send(CHANNEL_takeover, entry, former, generation, NULL, 0))
        STAT_INC(self.st, hints_lost);
}

void
master_link_done(
    uint64_t request, unsigned outcome, const char *body, size_t len)
{
    send_surely(CHANNEL_done, request, outcome, body, len);
}

bool
master_link_tapped(uint64_t tap, const char *body, size_t len)
{
    return try_send(CHANNEL_tapped, tap, 0, 0, body, len);
}

void
master_link_recovered(unsigned outcome, const char *body, size_t len)
{
    send_surely(CHANNEL_recovered, 0, outcome, body, len);
}

void
master_link_key(unsigned what, const char *body, size_t len)
{
    send_surely(CHANNEL_key, 0, what, body, len);
}

static void
channel_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    static char        body[CHANNEL_BODY_MAX + 1];
    struct channel_msg m;
    int                r = 1, passed;

    (void)revents;
    for (int i = 0; i < 64 && (r = channel_recv_fd(fd, &m, body, &passed)) == 1;
         i++) {
        if (passed < 0)
            up_datagram(&m, body);
        else
            up_passed(&m, passed);
    }
    if (r < 0) {
        ev_io_stop(loop, w);
        up_orphaned();
    }
}

void
master_link_open(int channel)
{
    fd = channel;
    ev_io_init(&watcher, channel_cb, fd, EV_READ);
    ev_io_start(self.loop, &watcher);
}

void
master_link_hold(bool hold)
{
    if (hold)
        ev_io_stop(self.loop, &watcher);
    else
        ev_io_start(self.loop, &watcher);
}

void
master_link_frozen(void)
{
    send_surely(CHANNEL_frozen, 0, 0, NULL, 0);
}

void
master_link_kept(bool successor_ended, const char *why)
{
    send_surely(CHANNEL_kept, 0, successor_ended, why, strlen(why) + 1);
}

void
master_link_inherited(uint64_t taken, uint64_t failed)
{
    send_surely(CHANNEL_inherited, taken, failed, NULL, 0);
}

void
master_link_given(uint64_t given, uint64_t left)
{
    send_surely(CHANNEL_given, given, left, NULL, 0);
}

void
master_link_moved(uint64_t request)
{
    send_surely(CHANNEL_moved, request, 0, NULL, 0);
}

void
master_link_flush(uint64_t ms)
{
    uint64_t until = clock_mono_ms() + ms;

    for (master_link_tick(); first != NULL && clock_mono_ms() < until;
         master_link_tick())
        poll(NULL, 0, 1);
}
