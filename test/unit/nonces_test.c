/* No key is used twice with the same nonce: over a million records, with
 * KeyUpdates, records that are taken back, connections that move, and the limit
 * of RFC 8446 section 5.5. Key and nonce are recorded where they are passed to
 * OpenSSL (nonce_spy.h). */
#include "net/record.h"

#include <stdlib.h>

#include "../nonce_spy.h"
#include "net/record_slab.h"
#include "unit.h"

#define RECORDS 1000000
#define TABLE (1u << 22)
#define CONNECTIONS 40

struct seal {
    uint8_t key[32], nonce[12], used, taken_back;
};

static struct seal *table;
static struct seal *last;
static uint64_t     seals, twice, updates, moves, taken;

/* A table with open addressing. The pair of key and nonce of a record that was
 * taken back may be used once more. */
static void
nonce_spy_note(const uint8_t *key, size_t n, const uint8_t *nonce, size_t m)
{
    struct seal s = {.used = 1};
    uint64_t    h = UINT64_C(0xcbf29ce484222325);

    memcpy(s.key, key, n);
    memcpy(s.nonce, nonce, m);
    for (size_t i = 0; i < 44; i++)
        h = (h ^ ((uint8_t *)&s)[i]) * UINT64_C(0x100000001b3);
    size_t at = (size_t)(h ^ h >> 32) & (TABLE - 1);
    while (table[at].used && memcmp(&table[at], &s, 44) != 0)
        at = (at + 1) & (TABLE - 1);
    seals++;
    if (table[at].used && !table[at].taken_back)
        twice++;
    table[at] = s;
    last = &table[at];
}

static uint32_t numbers[CONNECTIONS];

static void
begin(int i)
{
    _Alignas(struct record) uint8_t memory[RECORD_SIZE_MAX];
    struct record                  *r = (struct record *)memory;
    uint8_t                         a[48], b[48];
    enum record_suite               suite = (enum record_suite)(i % 3);

    for (int j = 0; j < 48; j++) {
        a[j] = (uint8_t)(i + 3 * j);
        b[j] = (uint8_t)(7 * i + 5 * j);
    }
    if (i % 2 == 0) {
        CHECK(record_begin13(r, suite, a, b));
    } else {
        CHECK(record_begin12(r, suite, false, a, a, b));
        r->read_seq = r->write_seq = 1;
        if (record_explicit_nonce(r))
            record_set_nonce(r, 0, UINT64_MAX - 1000);
    }
    /* Some connections reach the limit. */
    if (i % 5 == 0)
        r->write_seq = (uint32_t)RECORD_LIMIT - 5000;
    numbers[i] = record_slab_put(r);
    CHECK(numbers[i] != 0);
}

/* The record state moves to another place, as when a connection moves to
 * another process. */
static void
move(int i)
{
    _Alignas(struct record) uint8_t memory[RECORD_SIZE_MAX];
    struct record                  *r = record_slab_at(numbers[i]);

    memcpy(memory, r, record_size(r->version, r->suite));
    record_slab_release(numbers[i]);
    numbers[i] = record_slab_put((struct record *)memory);
    moves++;
}

int
main(void)
{
    static uint8_t wire[70000], text[40000];
    unsigned       spent = 0;

    table = calloc(TABLE, sizeof *table);
    CHECK(table != NULL && record_init() && record_slab_init(1000));
    for (int i = 0; i < CONNECTIONS; i++)
        begin(i);
    srand(1);
    while (seals < RECORDS) {
        int            i = rand() % CONNECTIONS, what = rand() % 1000;
        struct record *r = record_slab_at(numbers[i]);
        if (what < 2) {
            updates += record_update(r, what, wire) > 0;
        } else if (what < 4) {
            r->flags |= RECORD_OWES_UPDATE;
        } else if (what < 14) {
            move(i);
        } else if (what < 24) {
            /* Only one record can be taken back. */
            record_seal(r, RECORD_DATA, text, sizeof text, wire);
            CHECK(!record_unseal(r));
        } else {
            size_t n = record_seal(r, RECORD_DATA, text, 1, wire);
            spent += n == 0;
            if (n > 0 && what < 100 && record_unseal(r)) {
                last->taken_back = 1;
                taken++;
                CHECK(!record_unseal(r));
            }
        }
        CHECK(r->version == RECORD_TLS13 || r->write_seq <= RECORD_LIMIT);
    }
    CHECK_EQ(twice, 0);
    CHECK(updates > 100 && moves > 1000 && taken > 1000 && spent > 0);
    /* The table detects a repetition, which is made here. */
    struct record *r = record_slab_at(numbers[2]);
    record_seal(r, RECORD_DATA, text, 1, wire);
    r->write_seq--;
    record_seal(r, RECORD_DATA, text, 1, wire);
    CHECK_EQ(twice, 1);
    free(table);
    return unit_done();
}
