/* rebalance: passes some connections to a worker of another slot. See
 * rebalance.h. */
#include "move/rebalance.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/master_link.h"
#include "base/self.h"
#include "log.h"
#include "move/handover.h"
#include "move/moving.h"
#include "move/pair.h"
#include "session/session.h"

#define BATCH 32 /* connections in a turn of the loop */
#define HELLO_MS 10000

static struct giving {
    ev_io       io;
    ev_timer    late; /* ends the wait for the other worker's hello */
    struct pair pair;
    uint64_t    wanted, given;
    uint32_t    cursor, looked;
    /* The sessions in the batch that is being sent, so that they can be ended
       if the batch is lost. */
    struct sent {
        cref     name;
        uint32_t entry;
        uint64_t generation;
    } sent[BATCH];
    unsigned sent_n;
} * giving;

static void
finish(void)
{
    struct giving *g = giving;

    giving = NULL;
    ev_io_stop(self.loop, &g->io);
    ev_timer_stop(self.loop, &g->late);
    pair_close(&g->pair);
    log_info("passed %llu connections on to another worker",
        (unsigned long long)g->given);
    master_link_given(g->given, g->wanted - g->given);
    free(g);
}

/* The other worker has ended during the batch: ends the sessions of connections
 * that it had not taken over. */
static void
lose_batch(void)
{
    for (unsigned i = 0; i < giving->sent_n; i++) {
        struct sent *s = &giving->sent[i];
        if (registry_release(self.registry, s->entry, s->name))
            session_bury(registry_at(self.registry, s->entry), s->generation,
                CLOSE_not_moved);
    }
}

/* Takes the connections of a batch, whose sockets are not watched any more. */
static unsigned
put_batch(struct conn *batch[BATCH])
{
    struct giving *g = giving;
    unsigned       n = 0;

    for (; n < BATCH && g->given + n < g->wanted && g->looked < conn_high();
         g->looked++) {
        g->cursor = (g->cursor + 1) % conn_high();
        struct conn *c = conn_at(g->cursor);
        if (c->state != CONN_OPEN)
            continue;
        conn_settle(c);
        if (!moving_is_free(c) || conn_output_waits(c) ||
            !pair_reserve(&g->pair, moving_bytes(c)) ||
            !moving_write(c, &g->pair.out))
            continue;
        pair_pass(&g->pair, c->io.fd);
        g->sent[n] = (struct sent){c->self, c->session.entry, c->generation};
        batch[n++] = c;
    }
    g->sent_n = n;
    return n;
}

/* Sends the batch. False if the socket has not accepted a byte. */
static bool
send_batch(void)
{
    struct giving *g = giving;
    struct conn   *batch[BATCH];
    unsigned       n = put_batch(batch);

    if (n == 0)
        return true;
    pair_send(&g->pair);
    if (!pair_begun(&g->pair)) {
        pair_drop(&g->pair);
        g->looked -= g->looked < n ? g->looked : n;
        return false;
    }
    for (unsigned i = 0; i < n; i++)
        moving_forget(batch[i]);
    g->given += n;
    return true;
}

static void
hello_cb(struct giving *g)
{
    char         *line;
    size_t        len;
    struct fields f;

    switch (pair_line(&g->pair, &line, &len)) {
    case PAIR_WAITS:
        return;
    case PAIR_DONE:
        if (fields_parse(&f, line, len) && strcmp(f.word, "hello") == 0 &&
            fields_u64(&f, "segment", 0, UINT64_MAX) == handover_segment()) {
            ev_timer_stop(self.loop, &g->late);
            ev_io_stop(self.loop, &g->io);
            ev_io_modify(&g->io, EV_WRITE);
            ev_io_start(self.loop, &g->io);
            return;
        }
        break;
    case PAIR_ENDED:
        break;
    }
    finish();
}

static void
give_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct giving *g = giving;

    (void)loop, (void)w;
    if (!(revents & EV_WRITE)) {
        hello_cb(g);
        return;
    }
    switch (pair_send(&g->pair)) {
    case PAIR_WAITS:
        return;
    case PAIR_ENDED:
        lose_batch();
        finish();
        return;
    case PAIR_DONE:
        g->sent_n = 0;
        break;
    }
    if (g->given < g->wanted && g->looked < conn_high()) {
        send_batch();
        return;
    }
    fields_begin(&g->pair.out, "end");
    fields_end(&g->pair.out);
    pair_send(&g->pair);
    finish();
}

static void
late_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)w, (void)revents;
    log_warn("rebalance: the other worker has not answered for %d ms; the "
             "connections stay here",
        HELLO_MS);
    finish();
}

void
rebalance_give(int fd, uint64_t n)
{
    struct giving *g = giving == NULL ? calloc(1, sizeof *g) : NULL;

    if (g == NULL) {
        close(fd);
        master_link_given(0, n);
        return;
    }
    giving = g;
    pair_open(&g->pair, fd);
    g->wanted = n;
    ev_io_init(&g->io, give_cb, fd, EV_READ);
    ev_io_start(self.loop, &g->io);
    ev_timer_init(&g->late, late_cb, HELLO_MS / 1000.0, 0);
    ev_timer_start(self.loop, &g->late);
}
