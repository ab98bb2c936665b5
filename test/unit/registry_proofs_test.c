/* registry_proofs: an entry keeps one proof of a password. */
#include "registry_fix.h"

static void
keeps_proofs(void)
{
    struct registry      *r = fix_registry(2);
    struct registry_claim a, b;
    char                  in[REGISTRY_PROOF], out[REGISTRY_PROOF];
    uint32_t              when = 1;

    memset(in, 'x', sizeof in);
    CHECK_EQ(fix_claim(r, "CP1", 0, 1, &a), REGISTRY_OK);
    CHECK_EQ(fix_claim(r, "CP2", 0, 2, &b), REGISTRY_OK);
    CHECK(!registry_proof_get(r, a.entry, out, &when));
    registry_proof_put(r, a.entry, in, 77);
    CHECK(registry_proof_get(r, a.entry, out, &when));
    CHECK(when == 77 && memcmp(in, out, sizeof in) == 0);
    CHECK(!registry_proof_get(r, b.entry, out, &when));
    UNIT_CASE("an entry that replaces another one has none of its starts");
    registry_release(r, a.entry, a.self);
    fix_set_age(r, a.entry, 1000);
    CHECK_EQ(fix_claim(r, "NEW", 0, 3, &b), REGISTRY_OK);
    CHECK_EQ(b.entry, a.entry);
    CHECK(!registry_proof_get(r, b.entry, out, &when));
    UNIT_CASE("taken back");
    registry_proof_put(r, b.entry, in, 1);
    registry_proof_clear(r, b.entry);
    CHECK(!registry_proof_get(r, b.entry, out, &when));
    UNIT_CASE("");
}

int
main(void)
{
    keeps_proofs();
    return unit_done();
}
