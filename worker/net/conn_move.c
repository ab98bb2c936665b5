/* conn_move: the part of net/ in a connection's record. See moving.h. */
#include "net/conn.h"

#include <string.h>
#include <unistd.h>

#include "base/self.h"
#include "ensure.h"
#include "net/transport.h"

static const char *const states[] = {
    [CONN_HANDSHAKE] = "handshake",
    [CONN_OPEN] = "open",
    [CONN_CLOSING] = "closing",
};

#define FLAGS                                                                  \
    (CONN_FINISHING | CONN_SHUT | CONN_PAUSED | CONN_SLOWED | CONN_REFUSED)

/* A time is written as its age, because the clocks of two processes have
   different origins. */
static void
put_age(struct buf *out, const char *key, uint32_t ms)
{
    fields_put_u64(out, key, (uint32_t)(self.now_ms - ms));
}

static uint32_t
take_age(struct fields *f, const char *key)
{
    return self.now_ms - (uint32_t)fields_u64(f, key, 0, UINT32_MAX);
}

/* --- the opening handshake ----------------------------------------------- */

static void
write_handshake(const struct conn *c, struct buf *out)
{
    ensure(c->busy != NULL);
    const struct conn_handshake *h = &c->busy->handshake;

    fields_put_list(out, "hs_addr", h->addr, 2);
    fields_put_u64(out, "hs_port", h->port);
    fields_put_u64(out, "hs_began", h->began_us);
    fields_put_u64(out, "hs_proxy", h->proxy);
    fields_put_u64(out, "hs_proxied", h->proxied);
    fields_put_u64(out, "hs_forwarded", h->forwarded);
    fields_put_u64(out, "hs_counted", h->counted);
    /* The request is complete and waits for a decision, so the receiver parses
     * it again. */
    fields_put_u64(out, "hs_waits",
        h->delayed || h->asked != 0 || (c->flags & CONN_PAUSED) != 0);
    if (h->profile != 0) {
        fields_put_u64(out, "hs_profile", h->profile);
        fields_put_str(out, "hs_cn", h->cn);
    }
    if (h->in.len > 0)
        fields_put_bytes(out, "hs_in", h->in.p, h->in.len);
}

static bool
read_handshake(struct conn *c, struct fields *f)
{
    struct busy           *b = conn_busy(c);
    struct conn_handshake *h = b != NULL ? &b->handshake : NULL;
    const struct field    *in = fields_find(f, "hs_in");

    if (h == NULL || !fields_list(f, "hs_addr", h->addr, 2))
        return false;
    h->port = (uint16_t)fields_u64(f, "hs_port", 0, UINT16_MAX);
    h->began_us = fields_u64(f, "hs_began", self.now_us, self.now_us);
    h->proxy = fields_bool(f, "hs_proxy", false);
    h->proxied = fields_bool(f, "hs_proxied", false);
    h->forwarded = (uint8_t)fields_u64(
        f, "hs_forwarded", CONN_FORWARDED_NO, CONN_FORWARDED_MUST);
    h->counted = fields_bool(f, "hs_counted", false);
    h->delayed = fields_bool(f, "hs_waits", false);
    h->profile = (uint8_t)fields_u64(f, "hs_profile", 0, 3);
    const char *cn = fields_str(f, "hs_cn", sizeof h->cn - 1);
    memcpy(h->cn, cn, strlen(cn) + 1);
    return in == NULL || buf_add(&h->in, in->value, in->len);
}

/* --- all of it ----------------------------------------------------------- */

bool
conn_write(struct conn *c, struct buf *out)
{
    fields_put_u64(out, "index", conn_index(c));
    fields_put_str(out, "transport", transport_of(c)->name);
    fields_put_str(out, "state", states[c->state]);
    fields_put_u64(out, "flags", c->flags);
    fields_put_u64(out, "bits", c->ws_bits);
    fields_put_u64(out, "self", c->self);
    fields_put_u64(out, "generation", c->generation);
    put_age(out, "in_age", c->last_in_ms);
    put_age(out, "ping_age", c->pinged_ms);
    put_age(out, "state_age", c->opened_ms);
    if (c->busy != NULL && c->busy->out.len > 0) {
        fields_put_bytes(out, "out", c->busy->out.p, c->busy->out.len);
        put_age(out, "out_age", c->busy->stuck_ms);
    }
    if (c->state == CONN_HANDSHAKE)
        write_handshake(c, out);
    return transport_of(c)->write(c, out) &&
        (c->ws == NULL || ws_write(c->ws, out));
}

static bool
read_output(struct conn *c, struct fields *f)
{
    const struct field *v = fields_find(f, "out");

    if (v == NULL || v->len == 0)
        return true;
    struct busy *b = conn_busy(c);
    if (b == NULL)
        return false;
    b->stuck_ms = take_age(f, "out_age");
    /* websocket.max_output_size may have been higher when the buffer was
     * filled. */
    if (v->len > b->out.max)
        b->out.max = v->len;
    return buf_add(&b->out, v->value, v->len);
}

static bool
read_ws(struct conn *c, struct fields *f)
{
    if (!ws_recorded(f))
        return true;
    c->ws = ws_borrow(c, &c->ws_bits, self.conf.websocket_max_message_size);
    return c->ws != NULL && ws_read(c->ws, f);
}

static unsigned
find_word(const char *word, const char *const *table, unsigned n)
{
    unsigned i = 0;

    while (i < n && (table[i] == NULL || strcmp(table[i], word) != 0))
        i++;
    return i;
}

struct conn *
conn_read(struct fields *f, int fd)
{
    const char *transport = fields_str(f, "transport", 16);
    unsigned    kind = 0;
    uint32_t index = (uint32_t)fields_u64(f, "index", UINT32_MAX, UINT32_MAX);
    unsigned state = find_word(
        fields_str(f, "state", 16), states, sizeof states / sizeof states[0]);

    while (
        kind < LISTENER_KINDS && strcmp(transports[kind].name, transport) != 0)
        kind++;
    struct conn *c =
        kind == LISTENER_KINDS || state == sizeof states / sizeof states[0]
        ? NULL
        : conn_adopt(fd, index);
    if (c == NULL) {
        close(fd);
        return NULL;
    }
    c->kind = (uint8_t)kind;
    c->state = (uint8_t)state;
    c->flags = (uint8_t)fields_u64(f, "flags", 0, FLAGS);
    c->ws_bits = (uint8_t)fields_u64(f, "bits", 0, UINT8_MAX);
    c->generation = fields_u64(f, "generation", 0, UINT64_MAX);
    c->session.rtt_ms = UINT16_MAX;
    c->last_in_ms = take_age(f, "in_age");
    c->pinged_ms = take_age(f, "ping_age");
    c->opened_ms = take_age(f, "state_age");
    if (read_output(c, f) &&
        (state != CONN_HANDSHAKE || read_handshake(c, f)) &&
        transport_of(c)->read(c, f) && read_ws(c, f) && f->bad == NULL)
        return c;
    conn_forget(c);
    return NULL;
}
