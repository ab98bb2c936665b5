/* registry_remotes: the command by which a transaction was started. */
#include "registry_fix.h"

static struct registry_remote
remote(uint64_t key, uint64_t sent_ms, uint32_t connector, const char *command)
{
    struct registry_remote is = {.key = key,
        .sent_ms = sent_ms,
        .connector = connector,
        .len = (uint32_t)strlen(command)};

    memcpy(is.command, command, is.len);
    return is;
}

static bool
begins(struct registry *r, uint32_t e, uint64_t key, uint32_t connector,
    uint64_t since, uint64_t transaction, const char *command)
{
    struct registry_remote is;

    return registry_remote_begin(
               r, e, key, connector, since, transaction, &is) &&
        is.len == strlen(command) && memcmp(is.command, command, is.len) == 0;
}

static void
remembers_remote_starts(void)
{
    struct registry       *r = fix_registry(4);
    uint32_t               e = registry_find(r, "CP1", 3, true);
    struct registry_remote is;
    char                   longest[REGISTRY_COMMAND_MAX + 1];

    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK(!registry_remotes_any(r, e));
    CHECK(!begins(r, e, 7, 1, 0, 70, "a"));
    UNIT_CASE("by key, the newest, once");
    is = remote(7, 100, 0, "a");
    registry_remote_put(r, e, &is);
    is = remote(7, 200, 0, longest);
    registry_remote_put(r, e, &is);
    CHECK(begins(r, e, 7, 1, 0, 70, longest));
    CHECK(begins(r, e, 7, 1, 0, 70, longest));
    CHECK(begins(r, e, 7, 1, 0, 71, "a"));
    CHECK(!begins(r, e, 7, 1, 0, 72, "a"));
    CHECK(registry_remote_find(r, e, 70, &is) && is.len == sizeof longest - 1);
    CHECK(!registry_remote_find(r, e, 72, &is));
    UNIT_CASE("not too old, and of the connector");
    is = remote(8, 300, 2, "c");
    registry_remote_put(r, e, &is);
    CHECK(!begins(r, e, 8, 1, 0, 80, "c"));
    CHECK(!begins(r, e, 8, 2, 301, 80, "c"));
    CHECK(begins(r, e, 8, 0, 300, 80, "c"));
    UNIT_CASE("a refused command, and one that has begun");
    is = remote(9, 400, 0, "d");
    registry_remote_put(r, e, &is);
    registry_remote_drop(r, e, "d", 1);
    registry_remote_drop(r, e, "c", 1);
    CHECK(!begins(r, e, 9, 0, 0, 90, "d"));
    CHECK(registry_remote_find(r, e, 80, &is));
    UNIT_CASE("of the journal, in any order");
    is = remote(0, 0, 0, "j");
    is.transaction = 55;
    registry_remote_put(r, e, &is);
    is = remote(5, 500, 0, "j");
    registry_remote_put(r, e, &is);
    CHECK(registry_remote_find(r, e, 55, &is) && is.key == 5);
    UNIT_CASE("the newest ones stay");
    for (unsigned i = 0; i < REGISTRY_REMOTES + 2; i++) {
        is = remote(20 + i, 600 + i, 0, (const char[]){(char)('p' + i), 0});
        registry_remote_put(r, e, &is);
    }
    is = remote(30, 1, 0, "old");
    registry_remote_put(r, e, &is);
    for (unsigned i = 0; i < REGISTRY_REMOTES + 2; i++)
        CHECK_EQ(
            registry_remote_begin(r, e, 20 + i, 0, 0, 1000 + i, &is), i >= 2);
    CHECK(!registry_remote_begin(r, e, 30, 0, 0, 1, &is));
    UNIT_CASE("damaged");
    memset(&registry_remotes_at(r, e)->of[1].is.command, 'z', 3);
    unsigned found = 0;
    for (unsigned i = 0; i < REGISTRY_REMOTES + 2; i++)
        found += registry_remote_find(r, e, 1000 + i, &is);
    CHECK_EQ(found, REGISTRY_REMOTES - 1);
    UNIT_CASE("cleared");
    registry_remotes_clear(r, e);
    CHECK(!registry_remotes_any(r, e));
    UNIT_CASE("");
}

int
main(void)
{
    remembers_remote_starts();
    return unit_done();
}
