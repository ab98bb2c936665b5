/* The state that one version of the program hands over to the next: it is
 * written and read again. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "close.h"
#include "fields.h"
#include "registry_fix.h"
#include "registry_state.h"
#include "shm_state.h"
#include "stats.h"
#include "unit.h"

static const uint64_t addr[2] = {1, UINT64_MAX};
static const uint64_t fp_a[2] = {11, UINT64_C(22) << 40};
static const uint64_t fp_b[2] = {33, UINT64_C(44) << 40};

static struct fields f;

static bool
parse(struct buf *b)
{
    buf_reserve(b, 1);
    return fields_parse(&f, b->p, b->len);
}

static void
an_entry_comes_through(void)
{
    _Atomic uint64_t      sequence = UINT64_C(1) << 50;
    struct registry      *old = fix_registry(64), *new = fix_registry(1000);
    struct registry_claim c;
    struct registry_start start;
    struct buf            b = BUF_INIT(1 << 16);
    char        proof[REGISTRY_PROOF] = "proof\n=%", back[REGISTRY_PROOF];
    const char *name = "CP 1/\xc3\xa9=";
    const char *simple = "{\"transactionId\":-7,\"idTagInfo\":{\"status\":"
                         "\"Blocked\"}}";
    uint64_t    latest;
    uint32_t    i, when, end;
    unsigned    profile;

    CHECK_EQ(
        registry_claim(old, name, strlen(name), 3, 9, &sequence, addr, 80, &c),
        REGISTRY_OK);
    struct registry_entry *e = registry_at(old, c.entry);
    e->last_seen = 12345;
    e->messages = UINT32_MAX;
    e->last_action = ACTION_Heartbeat + 1;
    e->closed_at = 7;
    e->close_reason = CLOSE_worker_died;
    e->protocol = 2;
    registry_proof_put(old, c.entry, proof, 99);
    registry_set_certificate(old, c.entry, 3, 1000);
    registry_start_know(
        old, c.entry, REGISTRY_START, fp_a, 500, -7, simple, strlen(simple));
    registry_start_draft(
        old, c.entry, REGISTRY_START, fp_b, 3, 600, 8, "other answer", 12);

    CHECK(registry_state_write(old, c.entry, 77, &b));
    CHECK(!registry_state_write(old, c.entry + 1, 77, &b));
    CHECK(parse(&b));
    CHECK_EQ(registry_state_read(new, &f, &i, &latest), REGISTRY_OK);
    CHECK(f.bad == NULL);
    CHECK_EQ(latest, 77);
    e = registry_at(new, i);
    CHECK(e->owner == 0);
    CHECK_EQ(e->generation, c.generation);
    CHECK_EQ(e->last_seen, 12345);
    CHECK(e->messages == UINT32_MAX);
    CHECK_EQ(e->last_action, ACTION_Heartbeat + 1);
    CHECK_EQ(e->close_reason, CLOSE_worker_died);
    CHECK_EQ(e->protocol, 2);
    CHECK_EQ(e->port, 80);
    CHECK(e->addr[0] == addr[0] && e->addr[1] == addr[1]);
    CHECK(registry_proof_get(new, i, back, &when));
    CHECK_EQ(when, 99);
    CHECK(memcmp(back, proof, sizeof proof) == 0);
    registry_certificate(new, i, &profile, &end);
    CHECK_EQ(profile, 3);
    CHECK_EQ(end, 1000);
    CHECK_EQ(registry_start_find(new, i, fp_a, &start), REGISTRY_START_KNOWN);
    CHECK_STRN(start.answer, start.len, simple);
    CHECK_EQ(start.number, 500);
    CHECK_EQ(registry_start_find(new, i, fp_b, &start), REGISTRY_START_DRAFT);
    CHECK_STRN(start.answer, start.len, "other answer");
    CHECK_EQ(start.slot, 3);

    /* The connection comes with its entry, so it is not a new claim and keeps
     * the generation. */
    CHECK(registry_adopt(new, i, c.generation + 1, 0, 1, 2) == 0);
    cref self = registry_adopt(new, i, c.generation, 0, 1, 2);
    CHECK(self == cref_make(1, 2, c.generation));
    CHECK(registry_owns(new, i, self));
    CHECK(registry_adopt(new, i, c.generation, 0, 4, 4) == 0);
    cref next = registry_adopt(new, i, c.generation, self, 4, 4);
    CHECK(registry_owns(new, i, next));
    CHECK_EQ(registry_at(new, i)->generation, c.generation);
    CHECK_EQ(registry_at(new, i)->claims, 1);

    /* A record that comes late does not change an entry that has an owner. */
    registry_at(new, i)->last_seen = 2;
    buf_clear(&b);
    registry_state_write(old, c.entry, 0, &b);
    CHECK(parse(&b));
    CHECK_EQ(registry_state_read(new, &f, &i, &latest), REGISTRY_OK);
    CHECK_EQ(registry_at(new, i)->last_seen, 2);
    CHECK(registry_owns(new, i, next));
    buf_free(&b);
}

/* The starts in the table of additional starts move too. */
static void
all_starts_of_an_entry_move(void)
{
    struct registry *old = fix_registry(2), *new = fix_registry(2);
    struct buf       b = BUF_INIT(1 << 16);
    uint64_t         latest;
    uint32_t         entry, i;

    CHECK_EQ(registry_look_up(old, "A", 1, true, &entry), REGISTRY_OK);
    for (int k = 0; k < REGISTRY_STARTS; k++)
        registry_start_know(old, entry, REGISTRY_START,
            (uint64_t[2]){(uint64_t)k + 1, 1u << 16}, (uint64_t)k + 100, k, "",
            0);
    CHECK(registry_state_write(old, entry, 0, &b));
    CHECK(parse(&b));
    CHECK_EQ(registry_state_read(new, &f, &i, &latest), REGISTRY_OK);
    for (int k = 0; k < REGISTRY_STARTS; k++) {
        const uint64_t        fp[2] = {(uint64_t)k + 1, 1u << 16};
        struct registry_start was, is;
        CHECK_EQ(
            registry_start_find(old, entry, fp, &was), REGISTRY_START_KNOWN);
        CHECK_EQ(registry_start_find(new, i, fp, &is), REGISTRY_START_KNOWN);
        CHECK_EQ(is.number, k + 100);
        CHECK_EQ(was.number, is.number);
    }
    buf_free(&b);
}

static enum registry_result
read_text(struct registry *r, const char *text, uint32_t *i)
{
    struct buf           b = BUF_INIT(1 << 16);
    uint64_t             latest;
    enum registry_result result = REGISTRY_UNKNOWN;

    buf_adds(&b, text);
    if (parse(&b))
        result = registry_state_read(r, &f, i, &latest);
    buf_free(&b);
    return result;
}

static void
hostile_entries_are_harmless(void)
{
    struct registry *r = fix_registry(2);
    uint32_t         i;

    CHECK_EQ(read_text(r, "entry", &i), REGISTRY_UNKNOWN);
    CHECK_EQ(read_text(r, "entry name=", &i), REGISTRY_UNKNOWN);
    CHECK_EQ(read_text(r, "conn name=A", &i), REGISTRY_UNKNOWN);
    CHECK_EQ(
        read_text(r,
            "entry name=123456789012345678901234567890123456789012345678X", &i),
        REGISTRY_UNKNOWN);
    CHECK_EQ(read_text(r,
                 "entry name=A later=1 port=65536 flips=-1 profile=4 "
                 "certificate_end=99999999999 last_action=NoSuch "
                 "close_reason=nosuch refuse_reason=%00 proof=short "
                 "proof_when=1 known0=1:2:3:4 known1=1:268435456:0:1:1 "
                 "known2=1:1:512:1:1 draft3=1:1:1:18014398509481984:1 "
                 "asked0=1:1:1:1:4294967296",
                 &i),
        REGISTRY_OK);
    CHECK(f.bad != NULL);
    struct registry_entry *e = registry_at(r, i);
    CHECK_EQ(e->port, 0);
    CHECK_EQ(e->flips, 0);
    CHECK_EQ(e->last_action, 0);
    CHECK_EQ(e->generation, 0);
    for (int k = 0; k < REGISTRY_STARTS_NEAR; k++)
        CHECK(registry_starts_at(r, i)->word[k][1] == 0);
    CHECK_EQ(
        read_text(r, "entry name=B last_seen=4000000000", &i), REGISTRY_OK);
    registry_at(r, i)->last_seen = (uint32_t)(clock_wall_ms() / 1000);
    CHECK_EQ(read_text(r, "entry name=A last_seen=1", &i), REGISTRY_OK);
    registry_at(r, i)->last_seen = (uint32_t)(clock_wall_ms() / 1000);
    CHECK_EQ(read_text(r, "entry name=C", &i), REGISTRY_FULL);
}

/* --- the segment ---------------------------------------------------------- */

static struct config conf = {.server_max_connections = 100};

static struct shm *
make_shm(unsigned slots)
{
    int fd;

    struct shm *s = shm_make(&conf, slots, "node", &fd);
    CHECK(s != NULL);
    return s;
}

/* Reads line by line, as the new master does. Returns the number of records
 * that were accepted. */
static unsigned
read_all(struct shm *s, struct buf *b)
{
    unsigned n = 0;

    buf_reserve(b, 1);
    for (char *line = b->p, *end = b->p + b->len; line < end;) {
        char *next = memchr(line, '\n', (size_t)(end - line));
        next = next != NULL ? next + 1 : end;
        char save = *next;
        CHECK(fields_parse(&f, line, (size_t)(next - line)));
        n += shm_state_read(s, &f);
        *next = save;
        line = next;
    }
    return n;
}

static void
a_segment_comes_through(void)
{
    struct shm       *old = make_shm(3);
    struct buf        b = BUF_INIT(1 << 20), why = BUF_INIT(100);
    struct ticket_key before, after;
    uint32_t          rows = penalty_rows(conf.server_max_connections);

    for (int i = 0; i < 3; i++)
        penalty_count(shm_penalty(old), PENALTY_IDENTITY, "A", 1, 1000, 2, 60);
    CHECK(ticket_start(&old->tickets, 5));
    CHECK(ticket_rotate(&old->tickets, 6));
    CHECK(ticket_current(&old->tickets, &before));
    atomic_fetch_add(&old->sequence, 7);
    old->life = 99;
    old->upgrades = 4;
    old->reloads = 3;
    struct shm_worker *w = shm_worker(old, 2);
    w->incarnation = 5;
    w->born = 1234;
    snprintf(w->death, sizeof w->death, "was killed");
    STAT_ADD(&w->stats, accepted, 10);
    STAT_ADD(&shm_worker(old, 0)->stats, accepted, 1);
    STAT_ADD(&old->before, accepted, 100);
    STAT_ADD(&w->stats, closed[CLOSE_worker_died], 2);
    STAT_SET(&w->stats, connections, 50);
    histogram_add(&w->stats.answer_time, 100);
    struct shm_refusal *r = &w->refusal[1];
    *r = (struct shm_refusal){.seq = 4,
        .reason = 1,
        .wall_ms = 10,
        .first_ms = 9,
        .addr = {1, 2},
        .count = 3,
        .port = 4,
        .name_len = 3,
        .name = "CP1"};
    memset(r->detail, 'x', sizeof r->detail); /* without a NUL */
    shm_worker(old, 1)->refusal[0].seq = 3;   /* as during a write */

    uint64_t numbers = old->sequence;
    shm_state_write(old, rows, &b);
    shm_state_write_counters(old, &b);
    CHECK(!b.overflow);

    struct shm *new = make_shm(2);
    CHECK(read_all(new, &b) > 5);
    CHECK(new->sequence >= numbers + SHM_STATE_NUMBERS);
    CHECK_EQ(new->life, 99);
    CHECK_EQ(new->upgrades, 4);
    CHECK_EQ(new->reloads, 3);
    CHECK_EQ(new->service_wall_ms, old->service_wall_ms);
    CHECK_EQ(stat_get(&new->before.accepted), 111);
    CHECK_EQ(stat_get(&new->before.closed[CLOSE_worker_died]), 2);
    CHECK_EQ(
        stat_get(&new->before.connections), 0); /* a gauge is not handed over */
    CHECK_EQ(stat_get(&new->before.answer_time.sum_us), 100);
    CHECK_STR(shm_worker(new, 0)->refusal[1].detail,
        ""); /* a text without an end is dropped */
    r->detail[sizeof r->detail - 1] = '\0';
    buf_clear(&b);
    shm_state_write(old, rows, &b);
    read_all(new, &b);
    CHECK_EQ(shm_worker(new, 0)->refusal[1].count, 3);
    CHECK_EQ(shm_worker(new, 0)->refusal[1].name_len, 3);
    CHECK_EQ(shm_worker(new, 1)->refusal[0].seq, 0);
    CHECK_EQ(penalty_waits(shm_penalty(new), PENALTY_IDENTITY, "A", 1, 1001),
        PENALTY_FIRST_S - 1);
    CHECK_EQ(
        penalty_waits(shm_penalty(new), PENALTY_IDENTITY, "B", 1, 1001), 0);
    CHECK(ticket_current(&new->tickets, &after));
    CHECK(memcmp(&before, &after, sizeof before) == 0);

    /* With the same number of slots, each worker continues from its
     * predecessor. */
    new = make_shm(3);
    buf_clear(&b);
    shm_state_write(old, rows, &b);
    read_all(new, &b);
    CHECK_EQ(shm_worker(new, 2)->incarnation, 5);
    CHECK_EQ(shm_worker(new, 2)->born, 1234);
    CHECK_STR(shm_worker(new, 2)->death, "was killed");
    CHECK_EQ(shm_worker(new, 2)->recovered, 1);

    /* The table has another size. Penalties are dropped, because they would
     * apply to other addresses. */
    conf.server_max_connections = 20000;
    new = make_shm(3);
    CHECK(penalty_rows(20000) != rows);
    buf_clear(&b);
    shm_state_write(old, rows, &b);
    read_all(new, &b);
    CHECK_EQ(
        penalty_waits(shm_penalty(new), PENALTY_IDENTITY, "A", 1, 1001), 0);
    buf_free(&b);
    buf_free(&why);
}

static void
hostile_segments_are_harmless(void)
{
    static const char *const lines[] = {
        "segment sequence=-1 life=x upgrades=9e9",
        "segment sequence=18446744073709551615", "segment",
        "slot slot=2 incarnation=1", "slot slot=999999999999 born=1", "slot",
        "refusal slot=255 place=80 reason=rate", "refusal",
        "refusal slot=0 place=0 reason=rate name=%00",
        "refusal slot=0 place=0 reason=nosuch", "counter name=nosuch n=1",
        "counter name=accepted row=x n=1", "counter name=accepted n=-1",
        "counter name=connections n=7", "counter name=closed row=nosuch n=1",
        "counter", "histogram name=answer_time buckets=1:2",
        "histogram name=accepted buckets=1", "histogram",
        "penalties rows=3 key=1:2", "penalty row=99999999 tag=1",
        "penalty row=4294967296 tag=70000", "penalty", "tickets current=3",
        "tickets current=0 key0=short", "tickets", "entry name=", "other a=1"};
    struct buf  b = BUF_INIT(1 << 16);
    struct shm *s = make_shm(2);

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        UNIT_CASE(lines[i]);
        buf_clear(&b);
        buf_addf(&b, "%s\n", lines[i]);
        read_all(s, &b);
        CHECK_EQ(s->tickets.n, 0);
        CHECK_EQ(stat_get(&s->before.accepted), 0);
        CHECK_EQ(stat_get(&s->before.connections), 0);
        CHECK(s->sequence >= SHM_STATE_NUMBERS && s->sequence < UINT64_MAX / 2);
        CHECK_EQ(shm_worker(s, 0)->stats.accepted, 0);
    }
    UNIT_CASE("");
    buf_free(&b);
}

int
main(void)
{
    a_segment_comes_through();
    hostile_segments_are_harmless();
    an_entry_comes_through();
    all_starts_of_an_entry_move();
    hostile_entries_are_harmless();
    return unit_done();
}
