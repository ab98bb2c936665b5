/* transport_tls: the records of a connection. See transport_tls.h. */
#include "net/transport_tls.h"

#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "base/up.h"
#include "ensure.h"
#include "net/record_slab.h"
#include "net/tls_queue.h"

#define READ_MAX 65536 /* bytes that conn.c reads at once */

/* An incomplete record of the connection being served, and the bytes that
 * follow it. */
static uint8_t joined[RECORD_WIRE + READ_MAX];

/* The wire bytes of the last wrap(). Most fit into `usual`, which is not on the
 * heap, so pages of it that were never used take no memory. */
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
    if (c->tls == 0)
        return;
    record_of(c)->renewed_ms = self.now_ms;
    STAT_INC(self.st, tls_connections[r->name]);
}

/* --- in ------------------------------------------------------------------ */

static void
end_of_records(struct conn *c, struct record *r, const struct record_input *in)
{
    uint8_t alert[128];

    if (in->end == RECORD_CLOSED) {
        /* A close_notify is answered by a close_notify, unless it is itself the
         * answer to one (RFC 5246 7.2.1). RFC 8446 6.1 requires one before this
         * end shuts the connection down. */
        size_t n = c->flags & CONN_SHUT
            ? 0
            : record_alert(r, ALERT_CLOSE_NOTIFY, alert);
        if (n == 0 || conn_send_wire(c, alert, n))
            conn_broken(c, CLOSE_peer_vanished);
        return;
    }
    if (in->end == RECORD_ALERTED) {
        STAT_INC(self.st, tls_alerts_received[tls_alert_find(in->alert)]);
    } else {
        STAT_INC(self.st, tls_bad_records);
        size_t n = record_alert(r, in->alert, alert);
        if (n > 0 && !conn_send_wire(c, alert, n))
            return;
    }
    conn_broken(c, CLOSE_tls_error);
}

/* Keeps the beginning of a record whose rest is still to come. */
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
    /* Only one record can be taken back, so these are sent. */
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
    if (c->tls == 0)
        return;
    STAT_DEC(self.st, tls_connections[record_of(c)->name]);
    record_slab_release(c->tls);
    c->tls = 0;
}

bool
transport_tls_quiet(const struct conn *c)
{
    return c->tls != 0 && (c->busy == NULL || c->busy->tail.len == 0);
}

bool
transport_tls_names(
    const struct conn *c, const char **version, const char **cipher)
{
    if (c->tls == 0)
        return false;
    const struct record *r = record_of(c);
    *version = r->version == RECORD_TLS13 ? "1.3" : "1.2";
    *cipher = record_parameters[r->suite].cipher;
    return true;
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

/* --- the move to another process ----------------------------------------- */

/* The numbers of a record, in the order of the list `tls`. */
enum {
    VERSION,
    SUITE,
    FLAGS,
    IDLE,
    MAX_TEXT,
    READ_SEQ,
    WRITE_SEQ,
    AGE, /* age of the write key in ms; TLS 1.3 */
    NUMBERS
};

static size_t
keys_size(const struct record *r)
{
    return record_size(r->version, r->suite) - sizeof *r;
}

bool
transport_tls_write(struct conn *c, struct buf *out)
{
    if (c->state == CONN_HANDSHAKE && !tls_queue_write(c, out))
        return false;
    if (c->tls == 0)
        return c->state == CONN_HANDSHAKE;
    struct record *r = record_of(c);
    uint64_t       n[NUMBERS] = {
              [VERSION] = r->version,
              [SUITE] = r->suite,
              [FLAGS] = r->flags,
              [IDLE] = r->idle,
              [MAX_TEXT] = r->max_text,
              [READ_SEQ] = r->read_seq,
              [WRITE_SEQ] = r->write_seq,
              [AGE] = r->version == RECORD_TLS13
                  ? (uint32_t)(self.now_ms - r->renewed_ms)
                  : 0,
    };
    fields_put_list(out, "tls", n, NUMBERS);
    fields_put_u64(out, "tls_suite", r->name);
    fields_put_bytes(out, "tls_read_iv", r->read_iv, sizeof r->read_iv);
    fields_put_bytes(out, "tls_write_iv", r->write_iv, sizeof r->write_iv);
    fields_put_bytes(out, "tls_keys", r->keys, keys_size(r));
    if (c->busy != NULL && c->busy->tail.len > 0) {
        fields_put_bytes(out, "tls_tail", c->busy->tail.p, c->busy->tail.len);
        fields_put_u64(
            out, "tls_tail_age", (uint32_t)(self.now_ms - c->busy->tail_ms));
    }
    return true;
}

static bool
take_bytes(struct fields *f, const char *key, void *to, size_t n)
{
    const struct field *v = fields_find(f, key);

    if (v == NULL || v->len != n)
        return false;
    memcpy(to, v->value, n);
    return true;
}

static bool
take_tail(struct conn *c, struct fields *f)
{
    const struct field *tail = fields_find(f, "tls_tail");

    if (tail == NULL || tail->len == 0)
        return true;
    struct busy *b = conn_busy(c);
    if (b == NULL)
        return false;
    b->tail.max = RECORD_WIRE;
    b->tail_ms =
        self.now_ms - (uint32_t)fields_u64(f, "tls_tail_age", 0, UINT32_MAX);
    return buf_add(&b->tail, tail->value, tail->len);
}

static bool
take_record(struct fields *f, const uint64_t n[NUMBERS], struct record *r)
{
    uint64_t name = fields_u64(f, "tls_suite", 0, TLS_SUITES - 1);

    if ((n[VERSION] != RECORD_TLS12 && n[VERSION] != RECORD_TLS13) ||
        n[SUITE] >= RECORD_SUITES ||
        n[FLAGS] & ~(uint64_t)(RECORD_CLIENT | RECORD_OWES_UPDATE) ||
        n[IDLE] > UINT8_MAX || n[MAX_TEXT] == 0 || n[MAX_TEXT] > RECORD_TEXT ||
        n[READ_SEQ] > UINT32_MAX || n[WRITE_SEQ] > UINT32_MAX)
        return false;
    *r = (struct record){.version = (uint8_t)n[VERSION],
        .suite = (uint8_t)n[SUITE],
        .flags = (uint8_t)n[FLAGS],
        .idle = (uint8_t)n[IDLE],
        .max_text = (uint16_t)n[MAX_TEXT],
        .name = (uint8_t)name,
        .read_seq = (uint32_t)n[READ_SEQ],
        .write_seq = (uint32_t)n[WRITE_SEQ],
        .renewed_ms =
            n[VERSION] == RECORD_TLS13 ? self.now_ms - (uint32_t)n[AGE] : 0};
    return take_bytes(f, "tls_read_iv", r->read_iv, sizeof r->read_iv) &&
        take_bytes(f, "tls_write_iv", r->write_iv, sizeof r->write_iv) &&
        take_bytes(f, "tls_keys", r->keys, keys_size(r));
}

/* A process without a TLS listener may take over TLS connections. The memory
 * for their keys is then allocated with the first of them. */
static bool
has_slab(void)
{
    static bool made;

    if (!made && !tls_queue_on())
        made = record_init() && record_slab_init(conn_capacity());
    return made || tls_queue_on();
}

bool
transport_tls_read(struct conn *c, struct fields *f)
{
    _Alignas(struct record) uint8_t memory[RECORD_SIZE_MAX];
    uint64_t                        n[NUMBERS];

    if (!has_slab() || (c->state == CONN_HANDSHAKE && !tls_queue_on()))
        return false;
    if (fields_list(f, "tls", n, NUMBERS)) {
        struct record *r = (struct record *)memory;
        c->tls = take_record(f, n, r) ? record_slab_put(r) : 0;
        explicit_bzero(memory, sizeof memory);
        if (c->tls == 0)
            return false;
        STAT_INC(self.st, tls_connections[record_of(c)->name]);
    } else if (c->state != CONN_HANDSHAKE) {
        return false;
    }
    return (c->state != CONN_HANDSHAKE || tls_queue_read(c, f)) &&
        take_tail(c, f);
}
