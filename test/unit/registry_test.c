/*
 * registry: first each of its rules. Then a test under load: several processes
 * claim, release, find and forget the same few names, and are killed at any
 * instant.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "registry_fix.h"

#define SLOTS 5
#define SCRIBBLES 20000
#define NAMES 96    /* number of identities */
#define ENTRIES 64u /* fewer than names, so that entries are forgotten */
#define HELD 8      /* number of connections of a slot */
#define KILLS 400

/* The memory that the processes share in addition to the registry. */
struct board {
    _Atomic uint64_t claims, busy, full, takeovers, wrong;
    _Atomic int bad_line; /* line of this file where a process found an error */
    /* By name: the highest generation that a claim has returned. */
    _Atomic uint64_t newest[NAMES];
};

static struct board *board;

/* --- one process --------------------------------------------------------- */

static void
newest_wins(void)
{
    struct registry      *r = fix_registry(8);
    struct registry_claim a, b;

    CHECK_EQ(fix_claim(r, "CP1", 0, 7, &a), REGISTRY_OK);
    CHECK_EQ(a.former, 0);
    CHECK(registry_owns(r, a.entry, a.self));
    CHECK_EQ(cref_slot(a.self), 0);
    CHECK_EQ(cref_index(a.self), 7);
    CHECK_EQ(fix_claim(r, "CP1", 3, 7, &b), REGISTRY_OK);
    CHECK_EQ(b.entry, a.entry);
    CHECK(b.former == a.self);
    CHECK_EQ(b.former_generation, a.generation);
    CHECK(b.generation > a.generation);
    /* Releasing the old connection changes nothing. */
    CHECK(!registry_owns(r, a.entry, a.self));
    CHECK(!registry_release(r, a.entry, a.self));
    CHECK(registry_owns(r, b.entry, b.self));
    CHECK(registry_release(r, b.entry, b.self));
    CHECK(!registry_release(r, b.entry, b.self));
    CHECK(!registry_owns(r, b.entry, b.self));
    CHECK_EQ(registry_used(r), 1);
    CHECK_EQ(registry_find(r, "CP1", 3, false), a.entry);
    CHECK_EQ(registry_find(r, "CP", 2, false), REGISTRY_NONE);
    CHECK_EQ(registry_find(r, "", 0, true), REGISTRY_NONE);
}

static void
forgets_the_longest_absent(void)
{
    struct registry      *r = fix_registry(4);
    struct registry_claim c[4], d;
    char                  name[8];

    for (unsigned i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "N%u", i);
        CHECK_EQ(fix_claim(r, name, 0, i, &c[i]), REGISTRY_OK);
        fix_set_age(r, c[i].entry, 1000 + 100 * i);
    }
    UNIT_CASE("all identities are connected");
    CHECK_EQ(fix_claim(r, "NEW", 0, 9, &d), REGISTRY_FULL);
    UNIT_CASE("some have just disconnected");
    registry_release(r, c[1].entry, c[1].self);
    fix_set_age(r, c[1].entry, 2);
    CHECK_EQ(fix_claim(r, "NEW", 0, 9, &d), REGISTRY_FULL);
    UNIT_CASE("the identity that was absent longest is forgotten");
    registry_release(r, c[2].entry, c[2].self);
    registry_release(r, c[0].entry, c[0].self);
    CHECK_EQ(fix_claim(r, "NEW", 0, 9, &d), REGISTRY_OK);
    CHECK_EQ(d.entry, c[2].entry);
    CHECK_EQ(registry_find(r, "N2", 2, false), REGISTRY_NONE);
    CHECK_EQ(registry_find(r, "N0", 2, false), c[0].entry);
    CHECK_EQ(r->forgotten, 1);
    UNIT_CASE("the clock was a year ahead when they left");
    registry_release(r, d.entry, d.self);
    fix_set_age(r, d.entry, -365 * 86400);
    fix_set_age(r, c[0].entry, 2);
    CHECK_EQ(fix_claim(r, "NEWER", 0, 9, &d), REGISTRY_OK);
    UNIT_CASE("");
}

/* A reader without the lock continues while the lock is held, and is not
 * affected by wrong offsets. */
static void
readers_take_no_lock(void)
{
    struct registry      *r = fix_registry(8);
    struct registry_claim a;
    struct registry_entry e;

    CHECK_EQ(fix_claim(r, "CP1", 2, 7, &a), REGISTRY_OK);
    pthread_mutex_lock(&r->lock);
    r->capacity = 1u << 30;
    r->heads = 1u << 30;
    r->used = 1u << 30;
    CHECK_EQ(registry_peek(r, "CP1", 3), a.entry);
    CHECK_EQ(registry_peek(r, "CP2", 3), REGISTRY_NONE);
    CHECK_EQ(registry_peek(r, "", 0), REGISTRY_NONE);
    CHECK(registry_copy(r, a.entry, &e) && e.owner == a.self);
    CHECK(!registry_copy(r, 8, &e) && !registry_copy(r, 1u << 29, &e));
    registry_at(r, a.entry)->owner ^= 1; /* an owner that no claim has made */
    CHECK(registry_copy(r, a.entry, &e) && e.owner == 0);
    registry_at(r, a.entry)->next = 12345678;
    CHECK_EQ(registry_peek(r, "CP2", 3), REGISTRY_NONE);
    pthread_mutex_unlock(&r->lock);
}

/* --- many processes ------------------------------------------------------ */

struct hold {
    bool                  on;
    unsigned              name;
    struct registry_claim claim;
};

static uint64_t
chance(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void
wrong(int line)
{
    int none = 0;

    atomic_compare_exchange_strong(&board->bad_line, &none, line);
    board->wrong++;
}

#define MUST(cond) ((cond) ? (void)0 : wrong(__LINE__))

static void
name_of(char out[16], unsigned n)
{
    snprintf(out, 16, "NAME-%u", n);
}

/* The entry must keep its name as long as this process owns it: no other
 * process may free it. */
static void
look(struct registry *r, const struct hold *h)
{
    struct registry_entry *e = registry_at(r, h->claim.entry);
    char                   name[16];

    name_of(name, h->name);
    bool same =
        e->name_len == strlen(name) && memcmp(e->name, name, e->name_len) == 0;
    if (registry_owns(r, h->claim.entry, h->claim.self))
        MUST(same);
}

static void __attribute__((noreturn))
work(struct registry *r, unsigned slot, uint64_t seed)
{
    struct hold hold[HELD] = {0};
    char        name[16];

    for (;;) {
        unsigned     i = (unsigned)(chance(&seed) % HELD);
        struct hold *h = &hold[i];
        if (h->on) {
            look(r, h);
            /* Make the entry old enough to be forgotten at once. */
            fix_set_age(r, h->claim.entry, 1000);
            registry_release(r, h->claim.entry, h->claim.self);
            MUST(!registry_owns(r, h->claim.entry, h->claim.self));
            h->on = false;
            continue;
        }
        h->name = (unsigned)(chance(&seed) % NAMES);
        name_of(name, h->name);
        if (chance(&seed) % 16 == 0) {
            registry_find(r, name, strlen(name), chance(&seed) & 1);
            continue;
        }
        switch (fix_claim(r, name, slot, i, &h->claim)) {
        case REGISTRY_BUSY:
        case REGISTRY_UNKNOWN:
            board->busy++;
            continue;
        case REGISTRY_FULL:
            board->full++;
            continue;
        case REGISTRY_OK:
            break;
        }
        h->on = true;
        board->claims++;
        if (h->claim.former != 0) {
            board->takeovers++;
            /* A freed entry begins with new values; but an entry that had an
             * owner was never freed. */
            MUST(h->claim.former_generation < h->claim.generation);
        }
        look(r, h);
        uint64_t seen = board->newest[h->name];
        while (seen < h->claim.generation &&
            !atomic_compare_exchange_weak(
                &board->newest[h->name], &seen, h->claim.generation))
            ;
        if (chance(&seed) % 4 == 0)
            fix_set_age(r, h->claim.entry, 1000);
    }
}

static pid_t
start(struct registry *r, unsigned slot, uint64_t seed)
{
    pid_t pid = fork();

    if (pid == 0)
        work(r, slot, seed);
    return pid;
}

/* A successor starts in the slot: only it releases the entries of the dead
 * process. */
static unsigned
bury(struct registry *r, unsigned slot)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < registry_used(r); i++) {
        cref owner = registry_at(r, i)->owner;
        if (owner != 0 && cref_slot(owner) == slot)
            n += registry_release(r, i, owner);
    }
    return n;
}

/* Called while no process runs. Checks that each name has one entry, is found
 * there, and that every chain ends. */
static void
check_names(struct registry *r)
{
    struct registry_entry e;
    uint8_t               seen[NAMES] = {0};
    char                  name[16];
    unsigned              listed = 0, found = 0;

    for (uint32_t i = 0; i < registry_used(r); i++) {
        if (!registry_copy(r, i, &e))
            continue;
        unsigned n = (unsigned)strtoul(e.name + 5, NULL, 10);
        CHECK(n < NAMES);
        if (n >= NAMES)
            continue;
        CHECK(!seen[n]);
        seen[n] = 1;
        listed++;
        name_of(name, n);
        CHECK_EQ(registry_find(r, name, strlen(name), false), i);
        /* The generations of a name increase: no claim has returned a higher
         * one than that of the entry, except if the process was killed before
         * it recorded the generation. */
        CHECK(e.claims == 0 || e.generation >= board->newest[n]);
    }
    for (unsigned n = 0; n < NAMES; n++) {
        name_of(name, n);
        found += registry_find(r, name, strlen(name), false) != REGISTRY_NONE;
    }
    CHECK_EQ(found, listed);
}

static void
survives_kills(unsigned kills)
{
    struct registry *r = fix_registry(ENTRIES);
    pid_t            pid[SLOTS];
    uint64_t         seed = (uint64_t)clock_mono_ns() | 1;

    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    for (unsigned s = 0; s < SLOTS; s++)
        pid[s] = start(r, s, chance(&seed));
    for (unsigned k = 0; k < kills; k++) {
        /* Kills after a number of claims, not after a time. */
        uint64_t until = board->claims + 1 + chance(&seed) % 200;
        while (board->claims + board->busy + board->full < until)
            sched_yield();
        unsigned s = (unsigned)(chance(&seed) % SLOTS);
        CHECK(kill(pid[s], SIGKILL) == 0);
        CHECK(waitpid(pid[s], NULL, 0) == pid[s]);
        bury(r, s);
        for (uint32_t i = 0; i < registry_used(r); i++) {
            cref owner = registry_at(r, i)->owner;
            CHECK(owner == 0 || cref_slot(owner) != s);
        }
        pid[s] = start(r, s, chance(&seed));
        if (k % 50 != 49)
            continue;
        /* Kill all processes at once, and check the remaining state. */
        for (unsigned i = 0; i < SLOTS; i++)
            kill(pid[i], SIGKILL);
        for (unsigned i = 0; i < SLOTS; i++) {
            waitpid(pid[i], NULL, 0);
            bury(r, i);
        }
        for (uint32_t i = 0; i < registry_used(r); i++)
            CHECK_EQ(registry_at(r, i)->owner, 0);
        check_names(r);
        for (unsigned i = 0; i < SLOTS; i++)
            pid[i] = start(r, i, chance(&seed));
    }
    for (unsigned s = 0; s < SLOTS; s++) {
        kill(pid[s], SIGKILL);
        waitpid(pid[s], NULL, 0);
    }
    CHECK_EQ(board->wrong, 0);
    if (board->wrong)
        fprintf(stderr, "first found at line %d\n", board->bad_line);
    /* The test proves something only if all of this has happened. */
    CHECK(board->takeovers > 0 && r->forgotten > 0);
    printf("%" PRIu64 " claims, %" PRIu64 " takeovers, %" PRIu64
           " forgotten, %" PRIu64 " full, %" PRIu64 " busy, %u kills, %" PRIu64
           " of them inside the lock\n",
        (uint64_t)board->claims, (uint64_t)board->takeovers,
        (uint64_t)r->forgotten, (uint64_t)board->full, (uint64_t)board->busy,
        kills, (uint64_t)r->rebuilt);
}

/* Changes one word, as a stray store does. */
static void
scribble(struct registry *r, uint64_t *seed)
{
    uint32_t *heads =
        (uint32_t *)((char *)r + ((sizeof *r + 63) & ~(size_t)63));
    struct registry_entry *e =
        registry_at(r, (uint32_t)(chance(seed) % registry_used(r)));
    uint64_t any =
        chance(seed) % 2 ? chance(seed) : chance(seed) % (2 * r->capacity) + 1;

    switch (chance(seed) % 8) {
    case 0:
        heads[chance(seed) % r->heads] = (uint32_t)any;
        break;
    case 1:
        e->next = (uint32_t)any;
        break;
    case 2:
        e->next = (uint32_t)(e - registry_at(r, 0)) + 1;
        break; /* an entry that is its own successor */
    case 3:
        e->hash = (uint32_t)any;
        break;
    case 4:
        e->name_len = (uint8_t)any;
        break;
    case 5:
        e->name[chance(seed) % 4] ^= (char)(any | 1);
        break;
    case 6:
        e->owner = any;
        break;
    case 7:
        *(chance(seed) % 2 ? &r->used : &r->hand) = (uint32_t)any;
        break;
    }
}

/* Whatever was overwritten, no process hangs or reads outside the table, a new
 * claim owns the name, and a name has one owner after all workers have checked
 * their entries. */
static void
survives_scribbles(unsigned times)
{
    enum { FEW = 24 };
    struct registry      *r = fix_registry(ENTRIES);
    struct registry_claim held[FEW] = {0}, c;
    uint64_t              seed = (uint64_t)clock_mono_ns() | 1;
    char                  name[16];
    cref                  untold[FEW] = {0};
    unsigned              lost = 0;

    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    alarm(60); /* ends the test if a chain has no end */
    for (unsigned i = 0; i < FEW; i++) {
        name_of(name, i);
        CHECK_EQ(fix_claim(r, name, 0, i, &held[i]), REGISTRY_OK);
    }
    for (unsigned t = 0; t < times; t++) {
        scribble(r, &seed);
        unsigned n = (unsigned)(chance(&seed) % FEW);
        name_of(name, n);
        CHECK_EQ(fix_claim(r, name, 0, n, &c), REGISTRY_OK);
        CHECK(
            c.former == 0 || c.former == held[n].self || c.former == untold[n]);
        if (held[n].entry != c.entry && held[n].self != 0 &&
            registry_holds(r, held[n].entry, held[n].self)) {
            lost++; /* before a rebuild the former connection is not notified */
            untold[n] = held[n].self;
        }
        held[n] = c;
        /* The sweeps of all workers. */
        for (unsigned i = 0; i < FEW; i++) {
            if (held[i].self == 0 ||
                registry_holds(r, held[i].entry, held[i].self))
                continue;
            registry_mend(r, held[i].entry);
            name_of(name, i);
            CHECK_EQ(fix_claim(r, name, 0, i, &held[i]), REGISTRY_OK);
            CHECK(registry_holds(r, held[i].entry, held[i].self));
        }
        if (t % 64 != 0)
            continue;
        struct registry_entry e;
        for (uint32_t i = 0; i < registry_used(r); i++)
            CHECK(!registry_copy(r, i, &e) || e.name_len <= IDENTITY_MAX);
    }
    alarm(0);
    CHECK(r->rebuilt > times / 100);
    printf("%u scribbles, %" PRIu64 " rebuilds, %u seconds owners\n", times,
        (uint64_t)r->rebuilt, lost);
}

/* A process stopped inside the lock delays others only for a bounded time, and
 * its death releases the lock. */
static void
survives_a_death_inside_the_lock(void)
{
    struct registry      *r = fix_registry(8);
    struct registry_claim c;
    int                   ready[2];
    char                  byte;

    CHECK_EQ(fix_claim(r, "CP1", 0, 0, &c), REGISTRY_OK);
    CHECK(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_mutex_lock(&r->lock);
        if (write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    uint64_t began = clock_mono_ms();
    CHECK_EQ(fix_claim(r, "CP1", 1, 0, &c), REGISTRY_BUSY);
    CHECK(clock_mono_ms() - began < REGISTRY_LOCK_MS);
    CHECK_EQ(registry_find(r, "CP1", 3, false), REGISTRY_NONE);
    /* If a process died while it wrote a chain, the entries are valid, and the
     * chain is not. */
    uint32_t *heads =
        (uint32_t *)((char *)r + ((sizeof *r + 63) & ~(size_t)63));
    for (uint32_t i = 0; i < r->heads; i++)
        heads[i] = 0;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK_EQ(fix_claim(r, "CP1", 1, 0, &c), REGISTRY_OK);
    CHECK(cref_slot(c.former) == 0 && c.former != 0);
    CHECK_EQ(r->rebuilt, 1);
    CHECK_EQ(registry_used(r), 1);
    close(ready[0]);
    close(ready[1]);
}

int
main(int argc, char **argv)
{
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    newest_wins();
    forgets_the_longest_absent();
    readers_take_no_lock();
    survives_a_death_inside_the_lock();
    survives_scribbles(SCRIBBLES);
    survives_kills(argc > 1 ? (unsigned)atoi(argv[1]) : KILLS);
    return unit_done();
}
