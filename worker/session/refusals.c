/* refusals: records of refused handshakes. See refusals.h. */
#include "session/refusals.h"

#include <stdio.h>
#include <string.h>

#include "address.h"
#include "base/self.h"
#include "clock.h"
#include "log.h"
#include "printable.h"

/* The most log lines about refusals at once; one more is allowed each LINE_S
 * seconds. */
#define LINES_MAX 20
#define LINE_S 3
/* ms after which a refusal that continues is logged again */
#define AGAIN_MS 60000
/* Seconds after which a limit that is still reached is logged again */
#define LIMIT_S 60

#define OF_ADDRESS_MAX (SHM_REFUSALS / 4)

static unsigned lines = LINES_MAX; /* lines that may be logged now */
static uint32_t lines_s;           /* when `lines` was last raised */
static uint64_t unlogged;          /* refusals without a line of their own */

/* For each limit: the refusals since it was last logged, and the time of that
   line. */
static struct {
    uint64_t n;
    uint32_t logged_s; /* 0 never */
    char     from[ADDRESS_LEN];
} limits[REFUSE_REASONS];

static uint32_t
now_s(void)
{
    return (uint32_t)(clock_mono_ms() / 1000);
}

/* --- records ------------------------------------------------------------- */

/* The path as it was received, without the query, even if the request is
 * malformed or incomplete. */
static struct http_span
path_of(const struct conn_handshake *h, const struct http_request *r)
{
    const struct buf *in = &h->in;
    struct http_span  s = {in->p, 0};

    if (r != NULL && r->path.n > 0)
        return r->path;
    const char *p = in->len > 0 ? memchr(in->p, ' ', in->len) : NULL;
    if (p == NULL || p - in->p > 16) /* longer than any method */
        return s;
    const char *end = in->p + in->len;
    s.p = ++p;
    while (p < end && (unsigned char)*p > ' ' && *p != '?')
        p++;
    s.n = (size_t)(p - s.p);
    return s;
}

static void
put_offered(const struct http_request *r, char out[SHM_OFFERED_MAX])
{
    char   all[512];
    size_t n = 0;

    for (unsigned i = 0; r != NULL && i < r->protocol.n; i++) {
        struct http_span line = r->protocol.line[i];
        if (n > 0 && n + 2 <= sizeof all) {
            /* NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
            memcpy(all + n, ", ", 2);
            n += 2;
        }
        size_t fits = line.n < sizeof all - n ? line.n : sizeof all - n;
        memcpy(all + n, line.p, fits);
        n += fits;
    }
    printable_percent(out, SHM_OFFERED_MAX, all, n);
}

static bool
of_address(const struct shm_refusal *r, const uint64_t addr[2])
{
    return r->addr[0] == addr[0] && r->addr[1] == addr[1];
}

static bool
alike(const struct shm_refusal *a, const struct shm_refusal *b)
{
    return a->reason == b->reason && of_address(a, b->addr) &&
        a->name_len == b->name_len &&
        memcmp(a->name, b->name, a->name_len) == 0 &&
        strcmp(a->path, b->path) == 0;
}

/* Chooses the record for a refusal: the one of an equal refusal, an unused one,
 * or the oldest. If the address has many records, it is the oldest of this
 * address. */
static struct shm_refusal *
place_of(const struct shm_refusal *new, unsigned from, unsigned to)
{
    struct shm_refusal *oldest = NULL, *oldest_own = NULL;
    unsigned            own = 0;

    for (unsigned i = from; i < to; i++) {
        struct shm_refusal *r = &self.mem->refusal[i];
        if (r->seq == 0)
            return r;
        if (alike(r, new))
            return r;
        if (oldest == NULL || r->wall_ms < oldest->wall_ms)
            oldest = r;
        if (!of_address(r, new->addr))
            continue;
        own++;
        if (oldest_own == NULL || r->wall_ms < oldest_own->wall_ms)
            oldest_own = r;
    }
    return own >= OF_ADDRESS_MAX ? oldest_own : oldest;
}

/* Writes the record. True if a line should be logged. */
static bool
keep(const struct shm_refusal *new, bool silent)
{
    struct shm_refusal *r = silent
        ? place_of(new, SHM_REFUSALS, SHM_REFUSALS + SHM_SILENT)
        : place_of(new, 0, SHM_REFUSALS);
    bool                known = r->seq != 0 && alike(r, new);
    uint32_t            count = known ? r->count : 0;
    uint64_t            first_ms = known ? r->first_ms : new->wall_ms;
    uint64_t seq = (r->seq + 1) | 1; /* odd if a worker has died while it wrote
                                      * the record */
    bool goes_on = known && !silent &&
        (new->wall_ms - first_ms) / AGAIN_MS !=
            (r->wall_ms - first_ms) / AGAIN_MS;

    atomic_store_explicit(&r->seq, seq, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    memcpy((char *)r + sizeof r->seq, (const char *)new + sizeof r->seq,
        sizeof *r - sizeof r->seq);
    r->count = count + 1;
    r->first_ms = first_ms;
    atomic_store_explicit(&r->seq, seq + 1, memory_order_release);
    return !known || goes_on;
}

/* --- log ----------------------------------------------------------------- */

static bool
line_may_go(void)
{
    uint32_t now = now_s(), earned = (now - lines_s) / LINE_S;

    if (earned > 0) {
        lines = lines + earned < LINES_MAX ? lines + earned : LINES_MAX;
        lines_s = now;
    }
    if (lines == 0)
        return false;
    lines--;
    return true;
}

static void
log_it(const struct shm_refusal *r)
{
    char from[ADDRESS_LEN], name[3 * IDENTITY_MAX + 1], more[64] = "";

    if (!line_may_go()) {
        unlogged++;
        return;
    }
    if (unlogged > 0)
        snprintf(more, sizeof more, "; %llu others since the last line",
            (unsigned long long)unlogged);
    unlogged = 0;
    address_text(from, r->addr, r->port);
    printable_percent(name, sizeof name, r->name, r->name_len);
    log_info("refused %s%s%s%s%s%s%s: %s: %s%s%s%s%s", from,
        name[0] ? " as " : "", name, r->path[0] ? ", path " : "", r->path,
        r->offered[0] ? ", offering " : "", r->offered,
        refuse_info[r->reason].word, refuse_info[r->reason].sentence,
        r->detail[0] ? " (" : "", r->detail, r->detail[0] ? ")" : "", more);
}

static void
log_limit(unsigned reason)
{
    log_warn("%llu handshakes refused: %s; the last one came from %s",
        (unsigned long long)limits[reason].n, refuse_info[reason].sentence,
        limits[reason].from);
    limits[reason].n = 0;
    limits[reason].logged_s = now_s();
}

static bool
limit_is_due(unsigned reason)
{
    return limits[reason].n > 0 &&
        (limits[reason].logged_s == 0 ||
            now_s() - limits[reason].logged_s >= LIMIT_S);
}

void
refusals_tick(void)
{
    for (unsigned i = 0; i < REFUSE_REASONS; i++)
        if (limit_is_due(i))
            log_limit(i);
}

/* --- all of it ----------------------------------------------------------- */

static void
note_in_registry(const struct refusal *r)
{
    uint32_t entry = registry_find(self.registry, r->name, r->len, false);

    if (entry == REGISTRY_NONE)
        return; /* a refused identity gets no registry entry */
    struct registry_entry *e = registry_at(self.registry, entry);
    e->refused_at = (uint32_t)(self.wall_ms / 1000);
    e->refuse_reason = (uint8_t)r->reason;
}

void
refusals_add(
    const struct conn_handshake *h, const struct refusal *r, int status)
{
    struct shm_refusal new = {0};
    bool silent =
        (r->reason == REFUSE_gave_up || r->reason == REFUSE_timed_out ||
            r->reason == REFUSE_handshakes_full) &&
        h->in.len == 0 && r->request == NULL;

    STAT_INC(self.st, refused[r->reason]);
    self.mem->refused_s[r->reason] = now_s();

    new.wall_ms = self.wall_ms;
    memcpy(new.addr, h->addr, sizeof new.addr);
    new.port = h->port;
    new.reason = (uint8_t)r->reason;
    new.status = (uint16_t)(status ? status : refuse_info[r->reason].status);
    new.name_len = (uint8_t)r->len;
    memcpy(new.name, r->name, r->len);
    struct http_span path = path_of(h, r->request);
    printable_percent(new.path, sizeof new.path, path.p, path.n);
    put_offered(r->request, new.offered);
    snprintf(new.detail, sizeof new.detail, "%s", r->detail ? r->detail : "");
    if (silent && new.detail[0] == '\0')
        snprintf(new.detail, sizeof new.detail, "nothing was sent");

    if (r->len > 0)
        note_in_registry(r);
    bool line = keep(&new, silent);
    if (close_is_limit(r->reason)) {
        limits[r->reason].n++;
        address_text(limits[r->reason].from, new.addr, new.port);
        if (limit_is_due(r->reason))
            log_limit(r->reason);
    } else if (line) {
        log_it(&new);
    } else {
        unlogged++;
    }
}
