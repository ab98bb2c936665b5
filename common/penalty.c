/* penalty: waiting times for events that happen too often. See penalty.h. */
#include "penalty.h"

#include <stdbool.h>
#include <string.h>

#define ROWS_MIN 8192u
#define ROWS_MAX 262144u
#define STRIKES_MAX 15u
#define COUNT_MAX 4095u
#define TRIES 8

/*
 *   63     48 47   44 43      32 31                     0
 *   +--------+-------+----------+------------------------+
 *   |  tag   |strikes|  count   |  since, or wait until  |
 *   +--------+-------+----------+------------------------+
 *
 * A time in the future is the end of a wait. A time in the past is the
 * beginning of the minute to which count belongs.
 */
struct row {
    uint32_t tag, strikes, count, time;
};

static struct row
unpack(uint64_t w)
{
    return (struct row){(uint32_t)(w >> 48), (uint32_t)(w >> 44) & 15,
        (uint32_t)(w >> 32) & 4095, (uint32_t)w};
}

static uint64_t
pack(struct row r)
{
    /* clang 14 does not see the cast before the shift.
     * NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
    return (uint64_t)r.tag << 48 | (uint64_t)r.strikes << 44 |
        (uint64_t)r.count << 32 | r.time;
}

/* Returns the seconds still to wait. A wait longer than any penalty shows that
 * a stray store has overwritten the word, so it counts as 0. */
static uint32_t
waits(struct row r, uint32_t now)
{
    return r.time > now && r.time - now <= PENALTY_MOST_S ? r.time - now : 0;
}

uint32_t
penalty_rows(uint64_t max_connections)
{
    uint32_t n = ROWS_MIN;

    while (n < ROWS_MAX && n < max_connections)
        n *= 2;
    return n;
}

size_t
penalty_size(uint64_t max_connections)
{
    return sizeof(struct penalty) +
        penalty_rows(max_connections) * sizeof(uint64_t);
}

void
penalty_init(struct penalty *t, uint64_t max_connections)
{
    hash_key_draw(&t->key);
    t->rows = (uint32_t)((penalty_size(max_connections) - sizeof *t) /
        sizeof(uint64_t));
}

/* The word of a name. If the name has none: NULL, or, with `make', the word
 * that it replaces. */
static _Atomic uint64_t *
find(struct penalty *t, uint32_t rows, unsigned kind, const void *p, size_t n,
    bool make, uint32_t *tag)
{
    uint64_t          h = hash_keyed(&t->key, kind, p, n);
    _Atomic uint64_t *one = &t->row[h & (rows - 1)];
    _Atomic uint64_t *two = &t->row[(h >> 20) & (rows - 1)];

    *tag = (uint32_t)(h >> 48);
    if (*tag == 0)
        *tag = 1; /* 0 is a free word */
    struct row a = unpack(*one), b = unpack(*two);
    if (a.tag == *tag)
        return one;
    if (b.tag == *tag)
        return two;
    if (!make)
        return NULL;
    if (a.tag == 0)
        return one;
    if (b.tag == 0)
        return two;
    return a.time <= b.time ? one : two;
}

uint32_t
penalty_waits(
    struct penalty *t, unsigned kind, const void *p, size_t n, uint32_t now)
{
    uint32_t          tag;
    _Atomic uint64_t *w = find(t, t->rows, kind, p, n, false, &tag);

    if (w == NULL)
        return 0;
    struct row r = unpack(*w);
    return r.tag == tag ? waits(r, now) : 0;
}

uint32_t
penalty_peek(const struct penalty *t, uint32_t rows, unsigned kind,
    const void *p, size_t n, uint32_t now)
{
    uint32_t          tag;
    _Atomic uint64_t *w =
        find((struct penalty *)t, rows, kind, p, n, false, &tag);

    if (w == NULL)
        return 0;
    struct row r = unpack(*w);
    return r.tag == tag ? waits(r, now) : 0;
}

uint32_t
penalty_count(struct penalty *t, unsigned kind, const void *p, size_t n,
    uint32_t now, uint32_t limit, uint32_t most)
{
    uint32_t          tag;
    _Atomic uint64_t *w = find(t, t->rows, kind, p, n, true, &tag);

    if (limit > COUNT_MAX)
        limit = COUNT_MAX;
    for (int i = 0; i < TRIES; i++) {
        uint64_t   old = *w;
        struct row r = unpack(old);
        if (waits(r, now) > 0 && r.tag == tag)
            return waits(r, now); /* the name already has to wait */
        if (r.tag != tag || r.time > now)
            r = (struct row){tag, 0, 0, now};
        if (now - r.time >= PENALTY_FORGET_S)
            r.strikes = 0;
        if (now - r.time >= PENALTY_WINDOW_S) {
            /* A minute within the limit takes one strike back. */
            if (r.strikes > 0 && now - r.time >= 2 * PENALTY_WINDOW_S)
                r.strikes--;
            r.count = 0;
            r.time = now;
        }
        uint32_t wait = 0;
        if (r.count >= limit) {
            wait = (uint32_t)PENALTY_FIRST_S << r.strikes;
            if (wait > most)
                wait = most;
            if (r.strikes < STRIKES_MAX)
                r.strikes++;
            r.count = 0;
            r.time = now + wait;
        } else {
            r.count++;
        }
        if (atomic_compare_exchange_weak(w, &old, pack(r)))
            return wait;
    }
    return 0; /* other processes have changed the word in each attempt; their
               * counts stay */
}

void
penalty_write(const struct penalty *t, uint32_t rows, struct buf *out)
{
    fields_begin(out, "penalties");
    fields_put_u64(out, "rows", rows);
    fields_put_list(out, "key", t->key.k, 2);
    fields_end(out);
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t w = atomic_load((_Atomic uint64_t *)&t->row[i]);
        if (w == 0)
            continue;
        fields_begin(out, "penalty");
        fields_put_u64(out, "row", i);
        fields_put_u64(out, "tag", unpack(w).tag);
        fields_put_u64(out, "strikes", unpack(w).strikes);
        fields_put_u64(out, "count", unpack(w).count);
        fields_put_u64(out, "time", unpack(w).time);
        fields_end(out);
    }
}

bool
penalty_read(struct penalty *t, struct fields *f)
{
    if (strcmp(f->word, "penalties") == 0) {
        if (fields_u64(f, "rows", 0, ROWS_MAX) == t->rows)
            fields_list(f, "key", t->key.k, 2);
        else
            t->other_size = 1;
        return true;
    }
    if (strcmp(f->word, "penalty") != 0)
        return false;
    uint64_t   i = fields_u64(f, "row", UINT64_MAX, UINT32_MAX);
    struct row r = {(uint32_t)fields_u64(f, "tag", 0, UINT16_MAX),
        (uint32_t)fields_u64(f, "strikes", 0, STRIKES_MAX),
        (uint32_t)fields_u64(f, "count", 0, COUNT_MAX),
        (uint32_t)fields_u64(f, "time", 0, UINT32_MAX)};
    if (t->other_size == 0 && i < t->rows && r.tag != 0)
        t->row[i] = pack(r);
    return true;
}
