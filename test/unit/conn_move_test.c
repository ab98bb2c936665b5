/* The members of a connection arrive in another process as they were. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/self.h"
#include "config_read.h"
#include "net/conn.h"
#include "net/frame.h"
#include "registry.h"
#include "session/session.h"
#include "shm.h"
#include "unit.h"

struct self self;

void
self_read_clocks(void)
{
}

void
self_read_config(void)
{
}

static void
setup(void)
{
    struct buf errors = BUF_INIT(4096);
    int        fd;

    CHECK(config_read_text(&self.conf, "f", "", 0, NULL, 0, &errors));
    self.shm = shm_make(&self.conf, 1, "n1", &fd);
    close(fd);
    self.mem = shm_worker(self.shm, 0);
    self.st = &self.mem->stats;
    self.registry = shm_registry(self.shm);
    self.loop = ev_default_loop(0);
    self.now_ms = 1000000;
    self.now_us = UINT64_C(1000) * self.now_ms;
    CHECK(conn_init(4));
}

static struct conn *
make(void)
{
    const uint64_t addr[2] = {3, 4};
    int            fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    close(fds[1]);
    struct conn *c = conn_new(fds[0], LISTENER_PLAIN, addr, 5, true);
    CHECK(c != NULL);
    return c;
}

/* Writes a connection, and reads it 7 ms later by a clock that began at another
 * time. */
static struct conn *
move(struct conn *c)
{
    struct buf    line = BUF_INIT(16384);
    struct fields f;

    self.now_ms += 7;
    fields_begin(&line, "conn");
    CHECK(conn_write(c, &line));
    session_write(c, &line);
    fields_end(&line);
    int fd = dup(c->io.fd);
    conn_forget(c);
    ev_run(self.loop, EVRUN_NOWAIT);
    self.now_ms += 500000;
    CHECK(fields_parse(&f, line.p, line.len - 1));
    struct conn *d = conn_read(&f, fd);
    CHECK(d != NULL && session_read(d, &f));
    buf_free(&line);
    return d;
}

static void
an_opening_handshake(void)
{
    struct conn           *c = make();
    struct conn_handshake *h = &c->busy->handshake;

    h->began_us = 77;
    h->proxied = true;
    h->forwarded = CONN_FORWARDED_MUST;
    h->counted = true;
    h->profile = 3;
    strcpy(h->cn, "CP 1");
    buf_adds(&h->in, "GET /ocpp/CP1 \r\n");
    c->last_in_ms = self.now_ms - 20;

    c = move(c);
    h = &c->busy->handshake;
    CHECK_EQ(c->state, CONN_HANDSHAKE);
    CHECK_EQ(self.now_ms - c->last_in_ms, 27);
    CHECK_EQ(self.now_ms - c->opened_ms, 7);
    CHECK(h->addr[0] == 3 && h->addr[1] == 4 && h->port == 5);
    CHECK_EQ(h->began_us, 77);
    CHECK(h->proxy && h->proxied && h->counted);
    CHECK_EQ(h->forwarded, CONN_FORWARDED_MUST);
    CHECK(!h->delayed);
    CHECK_EQ(h->profile, 3);
    CHECK_STR(h->cn, "CP 1");
    CHECK_STRN(h->in.p, h->in.len, "GET /ocpp/CP1 \r\n");
    h->delayed = true; /* it waits for a decision, which begins again */
    c = move(c);
    CHECK(c->busy->handshake.delayed);
    conn_forget(c);
}

static void
an_open_connection(void)
{
    struct conn         *c = make();
    struct conn_session *s = &c->session;

    c->state = CONN_OPEN;
    c->flags = CONN_SLOWED;
    c->ws_bits = FRAME_CLOSING;
    c->generation = 12345;
    c->last_in_ms = self.now_ms - 100;
    c->pinged_ms = self.now_ms - 30;
    c->opened_ms = self.now_ms - 5000;
    CHECK(buf_adds(&c->busy->out, "wire"));
    c->busy->stuck_ms = self.now_ms - 60;
    s->entry = registry_find(self.registry, "CP1", 3, true);
    s->protocol = 1;
    s->boot = BOOT_PENDING;
    s->charging = true;
    s->messages_in = 11;
    s->messages_out = 12;
    s->rtt_ms = 13;
    s->bad = 14;
    s->violations = 15;
    s->violations_minute = 16;
    uint32_t entry = s->entry;

    c = move(c);
    s = &c->session;
    CHECK_EQ(c->state, CONN_OPEN);
    CHECK_EQ(c->flags, CONN_SLOWED);
    CHECK_EQ(c->ws_bits, FRAME_CLOSING);
    CHECK_EQ(c->generation, 12345);
    CHECK_EQ(self.now_ms - c->last_in_ms, 107);
    CHECK_EQ(self.now_ms - c->pinged_ms, 37);
    CHECK_EQ(session_age_ms(c), 5007);
    CHECK_STRN(c->busy->out.p, c->busy->out.len, "wire");
    CHECK_EQ(self.now_ms - c->busy->stuck_ms, 67);
    CHECK_EQ(s->entry, entry);
    CHECK_EQ(s->protocol, 1);
    CHECK_EQ(s->boot, BOOT_PENDING);
    CHECK_EQ(s->charging, true);
    CHECK(s->messages_in == 11 && s->messages_out == 12 && s->rtt_ms == 13);
    CHECK(s->bad == 14 && s->violations == 15 && s->violations_minute == 16);
    conn_forget(c);
}

/* A CLOSING connection keeps its reason. */
static void
a_closing_connection(void)
{
    struct conn *c = make();

    c->state = CONN_CLOSING;
    c->flags = CONN_FINISHING | CONN_REFUSED;
    c->session.reason = CLOSE_peer_vanished;
    c = move(c);
    CHECK_EQ(c->state, CONN_CLOSING);
    CHECK_EQ(c->flags, CONN_FINISHING | CONN_REFUSED);
    CHECK_EQ(c->session.reason, CLOSE_peer_vanished);
    conn_forget(c);
}

int
main(void)
{
    setup();
    an_opening_handshake();
    an_open_connection();
    a_closing_connection();
    return unit_done();
}
