/* secure: TLS below a link. See secure.h. */
#include "secure.h"

#include <stdlib.h>
#include <string.h>

#include "common/ensure.h"
#include "common/heap.h"
#include "net/record_slab.h"
#include "net/tls.h"

#define LINKS_MAX (1u << 20)

static struct tls_context *context;

/* A handshake needs 43 KB, which are returned to the system when the last of
 * many handshakes ends. */
static unsigned shaking, peak;

static void
shaken(void)
{
    if (--shaking > 0 || peak < 64)
        return;
    peak = 0;
    heap_trim();
}

struct tail {
    size_t  n;
    uint8_t bytes[];
};

bool
secure_setup(const char *ca, const char *certificate, const char *key,
    unsigned version, struct buf *why)
{
    if (!record_init() || !record_slab_init(LINKS_MAX)) {
        buf_adds(why, "OpenSSL or the memory for keys cannot be set up");
        return false;
    }
    context = tls_client_load(ca, certificate, key, "", (int)version, why);
    return context != NULL;
}

bool
secure_wanted(void)
{
    return context != NULL;
}

bool
secure_start(struct secure *s, struct buf *wire)
{
    size_t used;

    s->on = true;
    s->number = 0;
    s->state = tls_client_begin(context, NULL);
    if (++shaking > peak)
        peak = shaking;
    return s->state != NULL &&
        tls_step(s->state, NULL, 0, &used, wire) == TLS_MORE;
}

/* Opens records. An incomplete one at the end is kept. */
static long
open_records(struct secure *s, const uint8_t *in, size_t n, uint8_t *out,
    const char **why)
{
    static uint8_t joined[RECORD_WIRE + SECURE_ROOM];
    struct tail   *t = s->state;
    size_t         have = t == NULL ? 0 : t->n;

    ensure(have + n <= sizeof joined);
    if (t != NULL)
        memcpy(joined, t->bytes, have);
    free(t);
    s->state = NULL;
    memcpy(joined + have, in, n);
    n += have;
    struct record_input r = record_open(record_slab_at(s->number), joined, n);
    memcpy(out, joined, r.len);
    if (r.end == RECORD_OPEN && r.used < n) {
        s->state = t = malloc(sizeof *t + n - r.used);
        ensure(t != NULL);
        t->n = n - r.used;
        memcpy(t->bytes, joined + r.used, t->n);
    }
    if (r.end == RECORD_OPEN || r.len > 0)
        return (long)r.len;
    *why = r.end == RECORD_CLOSED ? "close_notify"
        : r.end == RECORD_ALERTED ? tls_alert_name(r.alert)
                                  : "a TLS record is damaged";
    return -1;
}

long
secure_read(struct secure *s, const uint8_t *in, size_t n, uint8_t *out,
    struct buf *wire, bool *done, const char **why)
{
    static char                     words[256];
    _Alignas(struct record) uint8_t record[RECORD_SIZE_MAX];
    struct tls_peer                 who;
    size_t                          used;

    if (s->number != 0)
        return open_records(s, in, n, out, why);
    enum tls_step step = tls_step(s->state, in, n, &used, wire);
    if (step == TLS_MORE)
        return 0;
    if (step == TLS_FAILED) {
        char            detail[128];
        enum tls_reason r = tls_why(s->state, detail, sizeof detail);
        snprintf(words, sizeof words, "TLS: %s %s", tls_reason_word(r), detail);
        *why = words;
        return -1;
    }
    bool good = tls_detach(s->state, (struct record *)record, &who);
    s->state = NULL;
    shaken();
    if (good)
        s->number = record_slab_put((struct record *)record);
    if (s->number == 0) {
        *why = "TLS: its keys cannot be taken over";
        return -1;
    }
    *done = true;
    return used < n ? open_records(s, in + used, n - used, out, why) : 0;
}

const char *
secure_seal(struct secure *s, const char *p, size_t n, size_t *sealed)
{
    static uint8_t *scratch;
    static size_t   size;
    struct record  *r = record_slab_at(s->number);
    size_t          need = record_bound(r, n);

    if (need > size) {
        uint8_t *larger = realloc(scratch, need);
        ensure(larger != NULL);
        scratch = larger;
        size = need;
    }
    *sealed = record_seal(r, RECORD_DATA, p, n, scratch);
    return (const char *)scratch;
}

void
secure_drop(struct secure *s)
{
    if (!s->on)
        return;
    if (s->number != 0) {
        record_slab_release(s->number);
        free(s->state);
    } else if (s->state != NULL) {
        tls_abandon(s->state);
        shaken();
    }
    memset(s, 0, sizeof *s);
}
