/* transport_tls: the records of a connection. See transport_tls.h. */
#include "net/transport_tls.h"

#include <stdlib.h>
#include <string.h>

#include "ensure.h"
#include "base/self.h"
#include "base/up.h"
#include "net/record_slab.h"
#include "net/tls_queue.h"

#define READ_MAX 65536 /* bytes that conn.c reads at once */

/* A half record and what follows it, of the connection that is served. */
static uint8_t joined[RECORD_WIRE + READ_MAX];

/* The wire bytes of the last wrap(). Most fit into `usual`, which is no part
 * of the heap: pages of it that were never needed take no memory. */
static uint8_t  usual[256u * 1024];
static uint8_t *large;
static uint8_t *scratch;
static size_t   scratch_len;

static struct record *
record_of(const struct conn *c)
{
    return record_slab_at(c->tls);
}

void
transport_tls_begin(struct conn *c, const struct record *r)
{
    c->tls = record_slab_put(r);
    if (c->tls != 0)
        record_of(c)->renewed_ms = self.now_ms;
}

/* --- in ------------------------------------------------------------------ */

static void
end_of_records(struct conn *c, struct record *r, const struct record_input *in)
{
    uint8_t alert[128];

    if (in->end == RECORD_CLOSED) {
        conn_broken(c, CLOSE_peer_vanished);
        return;
    }
    if (in->end == RECORD_ALERTED) {
        STAT_INC(self.st, tls_alerts_received);
    } else {
        STAT_INC(self.st, tls_bad_records);
        size_t n = record_alert(r, in->alert, alert);
        if (n > 0 && !conn_send_wire(c, alert, n))
            return;
    }
    conn_broken(c, CLOSE_tls_error);
}

/* Keeps the begin of a record whose rest is still to come. */
static void
keep(struct conn *c, const uint8_t *p, size_t n)
{
    struct busy *b = conn_busy(c);

    if (b == NULL) {
        conn_broken(c, CLOSE_out_of_memory);
        return;
    }
    b->tail.max = RECORD_WIRE;
    b->tail_ms = self.now_ms;
    if (!buf_add(&b->tail, p, n))
        conn_broken(c, CLOSE_out_of_memory);
}

void
transport_tls_input(struct conn *c, uint8_t *p, size_t n)
{
    if (c->tls == 0) {
        if (c->state == CONN_HANDSHAKE)
            tls_queue_input(c, p, n);
        return;
    }
    struct record *r = record_of(c);
    if (c->busy != NULL && c->busy->tail.len > 0) {
        size_t had = c->busy->tail.len;
        ensure(had + n <= sizeof joined);
        memcpy(joined, c->busy->tail.p, had);
        memcpy(joined + had, p, n);
        buf_free(&c->busy->tail);
        p = joined;
        n += had;
    }
    struct record_input in = record_open(r, p, n);
    STAT_ADD(self.st, tls_key_updates, in.updates);
    if (in.len > 0)
        up_bytes(c, p, in.len);
    if (c->state == CONN_DEAD || c->state == CONN_FREE)
        return;
    if (in.end != RECORD_OPEN)
        end_of_records(c, r, &in);
    else if (in.used < n)
        keep(c, p + in.used, n - in.used);
}

/* --- out ----------------------------------------------------------------- */

bool
transport_tls_wrap(struct conn *c, const void *p, size_t n, struct wire *w)
{
    if (c->tls == 0)
        return false;
    struct record *r = record_of(c);
    size_t         need = record_bound(r, n);
    free(large);
    large = need <= sizeof usual ? NULL : malloc(need);
    scratch = need <= sizeof usual ? usual : large;
    if (scratch == NULL)
        return false;
    if (r->flags & RECORD_OWES_UPDATE)
        STAT_INC(self.st, tls_key_updates);
    scratch_len = record_seal(r, RECORD_DATA, p, n, scratch);
    *w = (struct wire){(const char *)scratch, scratch_len};
    return scratch_len > 0;
}

void
transport_tls_unwrap(struct conn *c)
{
    /* Two records cannot be taken back, so they leave after all. */
    if (!record_unseal(record_of(c)))
        conn_send_wire(c, scratch, scratch_len);
}

void
transport_tls_finish(struct conn *c, struct wire *w)
{
    static uint8_t alert[128];

    *w = (struct wire){NULL, 0};
    if (c->tls != 0)
        *w = (struct wire){(const char *)alert,
            record_alert(record_of(c), ALERT_CLOSE_NOTIFY, alert)};
}

void
transport_tls_free(struct conn *c)
{
    if (c->tls != 0)
        record_slab_release(c->tls);
    c->tls = 0;
}

bool
transport_tls_quiet(const struct conn *c)
{
    return c->tls != 0 && (c->busy == NULL || c->busy->tail.len == 0);
}

enum close_reason
transport_tls_check(struct conn *c)
{
    if (c->tls == 0)
        return CLOSE_REASONS;
    struct record *r = record_of(c);
    if (record_spent(r))
        return CLOSE_tls_spent;
    if (c->busy != NULL && c->busy->tail.len > 0 &&
        self.now_ms - c->busy->tail_ms >= self.conf.tls_record_timeout)
        return CLOSE_tls_error;
    if (self.conf.tls_rekey != 0 && r->version == RECORD_TLS13 &&
        self.now_ms - r->renewed_ms >= self.conf.tls_rekey) {
        uint8_t update[128];
        size_t  n = record_update(r, false, update);
        r->renewed_ms = self.now_ms;
        STAT_INC(self.st, tls_key_updates);
        if (n == 0)
            return CLOSE_tls_error;
        conn_send_wire(c, update, n);
    }
    return CLOSE_REASONS;
}
