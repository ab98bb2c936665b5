/* registry_names: many names, and names that an attacker chooses. */
#include "hash.h"
#include "registry_fix.h"

/* 4 * 4 * 3 * 3 names of 46 bytes, for which FNV-1a has the same state. They
 * were found by lattice reduction. A seed that is mixed in at the start does
 * not separate them (with this prefix: if the low byte of the seed is 0). */
static const char *const blocks[4][4] = {
    {"ZY#,5`#+j5P", "b--!O4QVoJj", "@?8!?*n+#0k", "UQ&({^5-YN`"},
    {"LVfF$1;5rRv", "d!u?2qsb-)v", "DU;4&9*-!<N", "Vz6^!$:R3?X"},
    {"maK(PP67>bn", "b$sjYR*n4DH", "A|s0i$sU,kF", NULL},
    {"fD9Y4xp&?yX", "NH;-W<R4+}i", "=!_w,T4|d$^", NULL},
};
#define PREPARED 144

static void
prepared_name(char out[IDENTITY_MAX + 1], unsigned n)
{
    snprintf(out, IDENTITY_MAX + 1, "(,%s%s%s%s", blocks[0][n % 4],
        blocks[1][n / 4 % 4], blocks[2][n / 16 % 3], blocks[3][n / 48]);
}

static void
prepared_names_spread(void)
{
    struct registry      *r = fix_registry(4096);
    struct registry_claim c;
    char                  name[IDENTITY_MAX + 1], first[sizeof name];

    prepared_name(first, 0);
    for (unsigned n = 0; n < PREPARED; n++) {
        prepared_name(name, n);
        CHECK(hash_sum(name, strlen(name), 0x4100) ==
            hash_sum(first, strlen(first), 0x4100));
        uint64_t before = registry_steps;
        CHECK_EQ(fix_claim(r, name, 0, n, &c), REGISTRY_OK);
        CHECK(registry_steps - before < 8);
    }
    CHECK_EQ(registry_used(r), PREPARED);
    CHECK_EQ(r->rebuilt, 0);
}

/* The time for names in one chain, for which an attacker would need the key,
 * depends only on the length of the chain, and no name gets a second entry. */
static void
a_long_chain_is_walked_to_its_end(void)
{
    enum { LONG = 200 };
    struct registry      *r = fix_registry(4096);
    struct registry_claim c, held[LONG];
    char                  name[LONG][16];
    unsigned              n = 0;

    for (unsigned i = 0; n < LONG; i++) {
        int len = snprintf(name[n], sizeof *name, "X%u", i);
        if (((uint32_t)hash_keyed(&r->key, 0, name[n], (size_t)len) &
                (r->heads - 1)) == 0)
            n++;
    }
    for (unsigned i = 0; i < LONG; i++)
        CHECK_EQ(fix_claim(r, name[i], 0, i, &held[i]), REGISTRY_OK);
    for (unsigned i = 0; i < LONG; i++) {
        uint64_t before = registry_steps;
        CHECK_EQ(fix_claim(r, name[i], 1, i, &c), REGISTRY_OK);
        CHECK(registry_steps - before <= LONG);
        CHECK(c.entry == held[i].entry && c.former == held[i].self);
    }
    CHECK_EQ(registry_used(r), LONG);
    CHECK_EQ(r->rebuilt, 0);
    UNIT_CASE("a chain that ends in a loop is rebuilt, and costs its length");
    registry_at(r, held[0].entry)->next = held[99].entry + 1;
    uint64_t before = registry_steps;
    CHECK_EQ(registry_find(r, "no such name", 12, false), REGISTRY_NONE);
    uint32_t entry;
    for (unsigned i = 0; i < LONG; i++) {
        CHECK_EQ(registry_look_up(r, name[i], strlen(name[i]), true, &entry),
            REGISTRY_OK);
        CHECK_EQ(entry, held[i].entry);
    }
    CHECK(registry_steps - before <= (LONG + 4) * LONG);
    CHECK_EQ(registry_used(r), LONG);
    UNIT_CASE("");
}

/* Many names, each of which connects once, fill the table. In a full table the
 * time for a claim is bounded, and the entry of a name whose only connection
 * has ended is reused. */
static void
a_flood_of_names(void)
{
    enum { MANY = 20000 };
    struct registry      *r = fix_registry(MANY);
    struct registry_claim c, held;
    char                  name[16];

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "F%u", i);
        CHECK_EQ(fix_claim(r, name, 0, 1, &c), REGISTRY_OK);
        fix_set_age(r, c.entry, 0);
    }
    UNIT_CASE("all identities are connected: the search is bounded");
    uint64_t before = registry_steps;
    CHECK_EQ(fix_claim(r, "NEW", 0, 2, &c), REGISTRY_FULL);
    CHECK(registry_steps - before < 5000);
    UNIT_CASE("they have just disconnected, after one connection each");
    /* All names are released at the same time, because the claims above, and
     * this loop, may take longer than a second. */
    uint32_t gone = (uint32_t)(clock_wall_ms() / 1000);
    for (uint32_t i = 0; i < MANY; i++) {
        struct registry_entry *e = registry_at(r, i);
        e->closed_at = gone;
        CHECK(registry_release(r, i, e->owner));
        e->last_seen = gone;
    }
    before = registry_steps;
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "G%u", i);
        CHECK_EQ(fix_claim(r, name, 0, 1, &held), REGISTRY_OK);
    }
    CHECK(registry_steps - before < 100ull * MANY);
    UNIT_CASE("a name that had two connections stays for a minute");
    CHECK_EQ(fix_claim(r, name, 0, 2, &c), REGISTRY_OK);
    registry_at(r, c.entry)->closed_at = 1;
    registry_release(r, c.entry, c.self);
    fix_set_age(r, c.entry, 10);
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(fix_claim(r, "NEW", 0, 3, &held), REGISTRY_FULL);
    UNIT_CASE("");
}

/* The published test vectors: key and message are the bytes 0, 1, 2 ... */
static void
siphash_is_siphash(void)
{
    static const struct {
        size_t   n;
        uint64_t hash;
    } rows[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},
        {1, UINT64_C(0x74f839c593dc67fd)},
        {7, UINT64_C(0xab0200f58b01d137)},
        {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)},
    };
    const struct hash_key k = {
        {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};
    struct hash_key a, b;
    uint8_t         in[16];

    for (unsigned i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK(hash_keyed(&k, 0, in, rows[i].n) == rows[i].hash);
    CHECK(hash_keyed(&k, 1, in, 8) != hash_keyed(&k, 0, in, 8));
    hash_key_draw(&a);
    hash_key_draw(&b);
    CHECK(memcmp(&a, &b, sizeof a) != 0);
}

int
main(void)
{
    siphash_is_siphash();
    prepared_names_spread();
    a_long_chain_is_walked_to_its_end();
    a_flood_of_names();
    return unit_done();
}
