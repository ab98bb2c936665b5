/* Access: addresses, the credential file, the deny list, counts and delays. */
#include "address_count.h"
#include "authfile.h"
#include "cidr.h"
#include "config_read.h"
#include "denyfile.h"
#include "penalty.h"
#include "printable.h"
#include "shm.h"
#include "unit.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* --- ranges of addresses ------------------------------------------------- */

static void
address(const char *text, uint64_t out[2])
{
    struct cidr c;

    CHECK(cidr_parse(text, &c));
    memcpy(out, c.addr, sizeof c.addr);
}

static void
ranges_are_read_and_hold_addresses(void)
{
    static const struct {
        const char *range, *in, *out, *text;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.255", "192.0.3.0", "192.0.2.0/24"},
        {"192.0.2.77/24", "192.0.2.0", "192.0.1.255", "192.0.2.0/24"},
        {"192.0.2.7", "192.0.2.7", "192.0.2.6", "192.0.2.7"},
        {"192.0.2.7/32", "192.0.2.7", "::192.0.2.7", "192.0.2.7"},
        {"0.0.0.0/0", "255.1.2.3", "2001:db8::1", "0.0.0.0/0"},
        {"10.0.0.0/9", "10.127.255.255", "10.128.0.0", "10.0.0.0/9"},
        {"2001:db8::/33",
            "2001:db8:7fff::", "2001:db8:8000::", "2001:db8::/33"},
        {"::/0", "2001:db8::", NULL, "::/0"},
        {"::1", "::1", "::2", "::1"},
    };
    static const char *const wrong[] = {"", "/", "1.2.3", "1.2.3.4/",
        "1.2.3.4/33", "1.2.3.4/x", "1.2.3.4/-1", "::1/129", "::1/0001", "a",
        "1.2.3.4 ", "1.2.3.4/8/8", "example.org", "01.2.3.4.5"};
    struct cidr              c;
    uint64_t                 a[2];
    char                     text[CIDR_LEN];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        UNIT_CASE(rows[i].range);
        CHECK(cidr_parse(rows[i].range, &c));
        address(rows[i].in, a);
        CHECK(cidr_has(&c, a));
        if (rows[i].out != NULL) {
            address(rows[i].out, a);
            CHECK(!cidr_has(&c, a));
        }
        cidr_text(&c, text);
        CHECK_STR(text, rows[i].text);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        UNIT_CASE(wrong[i]);
        CHECK(!cidr_parse(wrong[i], &c));
    }
    UNIT_CASE("");
    address("127.3.2.1", a);
    CHECK(cidr_is_loopback(a) && cidr_is_four(a));
    address("::1", a);
    CHECK(cidr_is_loopback(a) && !cidr_is_four(a));
    address("128.0.0.1", a);
    CHECK(!cidr_is_loopback(a));
    c = cidr_around(a, 24, 64);
    cidr_text(&c, text);
    CHECK_STR(text, "128.0.0.0/24");
}

/* --- credentials --------------------------------------------------------- */

#define SALT "000102030405060708090a0b0c0d0e0f"
#define ONE                                                                    \
    "sha256:" SALT ":"                                                         \
    "0000000000000000000000000000000000000000000000000000000000000000"

static void
credential_lines(void)
{
    static const struct {
        const char *text, *error; /* NULL: it is valid */
        unsigned    n;
    } rows[] = {
        {"", NULL, 0},
        {"CP1", NULL, 1},
        {"CP1\r\n CP2 # c\n#x\n\n\t\n", NULL, 2},
        {"CP1 " ONE "\nCP2 " ONE " next=" ONE, NULL, 2},
        {"RDAM%20123\n%25\n%23\n", NULL, 3},
        {"CP1 secret", "f:1: the key is not", 0},
        {"\nCP1 " ONE " " ONE, "f:2: behind the key", 0},
        {"CP1 " ONE " next=x", "f:1: behind the key", 0},
        {"CP1 " ONE " next=" ONE " x", "f:1: behind the key", 0},
        {"CP1 " ONE " next=" ONE " accepted=" ONE " next=" ONE " next=" ONE,
            NULL, 1},
        {"CP1 " ONE " next=" ONE " next=" ONE " next=" ONE " next=" ONE
         " accepted=" ONE,
            "f:1: there are more than 4 new keys", 0},
        {"CP1\nCP2\nCP1", "f:3: the identity occurs in an earlier line", 2},
        {"CP%2", "f:1: the identity is longer", 0},
        {"0123456789012345678901234567890123456789012345678",
            "f:1: the identity", 0},
        {"x y\nCP1", "f:1: the key", 1},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct authfile a = {0};
        struct buf      errors = BUF_INIT(4096);
        UNIT_CASE(rows[i].text);
        bool good = authfile_parse(
            &a, "f", rows[i].text, strlen(rows[i].text), &errors);
        CHECK_EQ(good, rows[i].error == NULL);
        CHECK_EQ(a.n, rows[i].n);
        if (rows[i].error != NULL)
            CHECK(strstr(buf_cstr(&errors), rows[i].error) != NULL);
        else
            CHECK_EQ(errors.len, 0);
        CHECK(strstr(buf_cstr(&errors), "secret") == NULL);
        authfile_free(&a);
        buf_free(&errors);
    }
    UNIT_CASE("");
}

static void
keys(void)
{
    const uint8_t      *digits = (const uint8_t *)"00fFA0";
    uint8_t             out[16];
    size_t              n;
    struct authfile_key k, other;
    char                text[AUTHFILE_KEY_TEXT];

    CHECK_EQ(authfile_canonical(digits, 6, out), 3);
    CHECK(out[0] == 0 && out[1] == 0xff && out[2] == 0xa0);
    CHECK_EQ(authfile_canonical(digits, 5, out), 5);
    CHECK(!authfile_unhex((const uint8_t *)"0g", 2, out, &n));
    CHECK(!authfile_unhex(digits, 0, out, &n));
    authfile_make_key(&k, digits, 6, NULL);
    CHECK(authfile_matches(&k, digits, 6));
    CHECK(!authfile_matches(&k, digits, 5));
    authfile_key_text(&k, text);
    CHECK_EQ(strlen(text), AUTHFILE_KEY_TEXT - 1);
    CHECK(authfile_parse_key(text, strlen(text), &other));
    CHECK(authfile_same(&k, &other));
    authfile_make_key(&other, digits, 6, NULL);
    CHECK(!authfile_same(&k, &other)); /* another salt */
    authfile_make_offered(&k, "CP1", 3, digits, 6);
    authfile_make_offered(&other, "CP1", 3, digits, 6);
    CHECK(authfile_same(&k, &other) && authfile_matches(&k, digits, 6));
    authfile_make_offered(&other, "CP2", 3, digits, 6);
    CHECK(!authfile_same(&k, &other));
    /* Every byte of the hash and of the salt counts. */
    for (size_t i = 0; i < sizeof k; i++) {
        uint8_t *byte = (uint8_t *)&k + i;
        *byte ^= 0x80;
        CHECK(!authfile_matches(&k, digits, 6));
        *byte ^= 0x80;
        CHECK(authfile_matches(&k, digits, 6));
    }
}

/* Returns the keys that are held, each byte of the text a key, such as 'a'; an
 * accepted one is in upper case. */
static const char *
holding(const struct authfile_entry *e)
{
    static char text[AUTHFILE_NEXT_MAX + 2];
    unsigned    n = 0;

    for (unsigned i = 0; i <= e->nexts; i++) {
        const struct authfile_key *k = i == 0 ? &e->key : &e->next[i - 1];
        for (uint8_t c = 'a'; c <= 'i'; c++)
            if (authfile_matches(k, &c, 1))
                text[n++] =
                    (char)(i > 0 && (e->accepted >> (i - 1) & 1) ? c - 32 : c);
    }
    text[n] = '\0';
    return text;
}

static void
new_keys_come_and_go(void)
{
    /* +k offered, !k accepted, -k refused, =k used. */
    static const struct {
        const char *steps, *holding;
    } rows[] = {
        {"", "a"},
        {"+b", "ab"},
        {"+b-b", "a"},
        {"+b!b", "aB"},
        {"+b=b", "b"},
        /* When a later key is refused, the earlier ones stay valid. */
        {"+b!b+c-c", "aB"},
        {"+b!b+c=b", "bc"},
        {"+b!b+c!c", "aC"},
        {"+b!b+c!c=c", "c"},
        /* The same key again, which is refused this time. */
        {"+b!b+b-b", "aB"},
        {"+a-a", "a"},
        /* Whether these keys have arrived is unknown. */
        {"+b+c+d-d", "abc"},
        {"+b+c=b", "bc"},
        {"+b+c+d+e+f", "acdef"},
        {"+b!b+c+d+e+f+g", "aBefg"},
        {"-b!c=d", "a"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct authfile_entry e = {.has_key = true}, got;
        struct authfile       a = {0};
        struct buf            text = BUF_INIT(4096), errors = BUF_INIT(4096);
        UNIT_CASE(rows[i].steps);
        authfile_make_offered(&e.key, "CP1", 3, (const uint8_t *)"a", 1);
        for (const char *p = rows[i].steps; *p != '\0'; p += 2) {
            struct authfile_key k;
            authfile_make_offered(&k, "CP1", 3, (const uint8_t *)p + 1, 1);
            (p[0] == '+'          ? authfile_offer
                    : p[0] == '!' ? authfile_accept
                    : p[0] == '-' ? authfile_withdraw
                                  : authfile_use)(&e, &k);
        }
        CHECK_STR(holding(&e), rows[i].holding);
        /* The text of the file and the table have the same entries. */
        authfile_set(&text, "CP1", 3, &e);
        CHECK(authfile_parse(&a, "f", text.p, text.len, &errors));
        CHECK(authfile_find(&a, "CP1", 3, &got));
        CHECK_STR(holding(&got), rows[i].holding);
        authfile_free(&a);
        buf_free(&text);
        buf_free(&errors);
    }
    UNIT_CASE("an entry without a key: the first key offered becomes its key");
    struct authfile_entry e = {0};
    struct authfile_key   k;
    authfile_make_offered(&k, "CP1", 3, (const uint8_t *)"b", 1);
    CHECK(authfile_offer(&e, &k));
    CHECK(e.has_key && authfile_same(&e.key, &k));
    CHECK_EQ(e.nexts, 0);
    CHECK(!authfile_offer(&e, &k));
    UNIT_CASE("");
}

static void
the_text_is_changed_line_by_line(void)
{
    struct buf            text = BUF_INIT(4096);
    struct authfile_entry e = {0}, got;

    buf_adds(&text, "# mine\nCP1 # one\nCP 2x\nRDAM%20123");
    CHECK(!authfile_set(&text, "new", 3, &e));
    CHECK(authfile_set(&text, "RDAM 123", 8, &e));
    CHECK(authfile_set(&text, "CP1", 3, NULL));
    CHECK(!authfile_set(&text, "CP1", 3, NULL));
    CHECK_STR(buf_cstr(&text), "# mine\nCP 2x\nRDAM%20123\nnew\n");
    e.has_key = true;
    authfile_make_key(&e.key, (const uint8_t *)"x", 1, NULL);
    CHECK(authfile_set(&text, "new", 3, &e));
    CHECK(authfile_get(&text, "new", 3, &got));
    CHECK(got.has_key && got.nexts == 0 && authfile_same(&got.key, &e.key));
    CHECK(!authfile_get(&text, "CP", 2, &got)); /* its line is wrong */
    buf_free(&text);
}

static void
many_identities_are_found(void)
{
    struct buf            text = BUF_INIT(64 << 20), errors = BUF_INIT(4096);
    struct authfile       a = {0};
    struct authfile_entry e = {0};
    const unsigned        n = 20000;
    const char           *name;
    size_t                at = 0, len, seen = 0;
    char                  id[32], key[AUTHFILE_KEY_TEXT];

    authfile_make_key(&e.key, (const uint8_t *)"k", 1, NULL);
    authfile_key_text(&e.key, key);
    for (unsigned i = 0; i < n; i++)
        buf_addf(&text, "CP%06u %s\n", i, i % 2 ? key : "");
    CHECK(authfile_parse(&a, "f", text.p, text.len, &errors));
    CHECK_EQ(a.n, n);
    for (unsigned i = 0; i < n; i++) {
        snprintf(id, sizeof id, "CP%06u", i);
        if (!authfile_find(&a, id, strlen(id), &e) || e.has_key != i % 2)
            CHECK(!"found");
    }
    CHECK(!authfile_find(&a, "CP", 2, &e));
    while (authfile_next(&a, &at, &name, &len, &e))
        seen += len == 8;
    CHECK_EQ(seen, n);
    printf("%.1f bytes an identity\n",
        (double)(a.cap + a.slots * sizeof *a.slot) / n);
    authfile_free(&a);
    CHECK(!authfile_find(&a, "CP000001", 8, &e));
    buf_free(&text);
}

/* --- the deny list ------------------------------------------------------ */

static void
the_deny_list(void)
{
    struct denyfile   d = {0};
    struct buf        errors = BUF_INIT(4096), text = BUF_INIT(4096);
    const char       *why;
    uint64_t          a[2];
    static const char file[] = "address 192.0.2.0/24 # them\nidentity CP%201\n"
                               "identity B\naddress 2001:db8::/32\n";

    CHECK(denyfile_parse(&d, "f", file, sizeof file - 1, &errors));
    address("192.0.2.9", a);
    CHECK(denyfile_has_address(&d, a));
    address("192.0.3.9", a);
    CHECK(!denyfile_has_address(&d, a));
    address("2001:db8:1::", a);
    CHECK(denyfile_has_address(&d, a));
    CHECK(denyfile_has_name(&d, "CP 1", 4) && denyfile_has_name(&d, "B", 1));
    CHECK(!denyfile_has_name(&d, "CP", 2) && !denyfile_has_name(&d, "", 0));
    denyfile_free(&d);
    CHECK(!denyfile_has_name(&d, "B", 1) && !denyfile_has_address(&d, a));

    static const char bad[] =
        "address\naddress 1\nfoo bar\nidentity a b\nidentity C\n";
    CHECK(!denyfile_parse(&d, "f", bad, sizeof bad - 1, &errors));
    CHECK(strstr(buf_cstr(&errors), "f:1: the entry is one word") != NULL);
    CHECK(
        strstr(buf_cstr(&errors), "f:2: the entry is not an address") != NULL);
    CHECK(strstr(buf_cstr(&errors), "f:3: the entry is neither") != NULL);
    CHECK(strstr(buf_cstr(&errors), "f:4: the entry has more") != NULL);
    CHECK(denyfile_has_name(&d, "C", 1));
    denyfile_free(&d);

    CHECK(!denyfile_set(&text, "address", "10.1.2.3/8", true, &why) &&
        why == NULL);
    CHECK(denyfile_set(&text, "address", "10.0.0.0/8", true, &why));
    CHECK(!denyfile_set(&text, "identity", "a b", true, &why) && why == NULL);
    CHECK_STR(buf_cstr(&text), "address 10.0.0.0/8\nidentity a%20b\n");
    denyfile_set(&text, "address", "x", true, &why);
    CHECK(why != NULL);
    CHECK(denyfile_set(&text, "address", "10.9.9.9/8", false, &why));
    CHECK_STR(buf_cstr(&text), "identity a%20b\n");
    buf_free(&text);
    buf_free(&errors);
}

/* --- counts -------------------------------------------------------------- */

static void
a_crowd_is_counted_over_workers(void)
{
    struct config c;
    struct buf    errors = BUF_INIT(4096);
    int           fd;
    uint64_t      a[2], b[2];

    CHECK(config_read_text(&c, "f", "", 0, NULL, 0, &errors));
    struct shm *s = shm_make(&c, 3, "n", &fd);
    CHECK(s != NULL);
    if (s == NULL)
        return;
    struct address_count *w = shm_crowd(s);
    for (unsigned i = 0; i < 3; i++)
        shm_worker(s, i)->pid = 1;
    address("192.0.2.1", a);
    address("192.0.2.2", b);
    struct address_count_place pa = address_count_find(w, 0, a),
                               pb = address_count_find(w, 0, b);
    CHECK(memcmp(&pa, &pb, sizeof pa) != 0);
    for (unsigned i = 0; i < 30; i++)
        address_count_enter(w, i % 3, pa);
    address_count_enter(w, 0, pb);
    CHECK_EQ(shm_crowd_count(s, pa), 30);
    CHECK_EQ(shm_crowd_count(s, pb), 1);
    address_count_leave(w, 0, pa);
    CHECK_EQ(shm_crowd_count(s, pa), 29);
    shm_worker(s, 1)->pid = 0; /* the worker is dead: its ten connections are
                                  not counted any more */
    CHECK_EQ(shm_crowd_count(s, pa), 19);
    address_count_clear(w, 1);
    shm_worker(s, 1)->pid = 2;
    CHECK_EQ(shm_crowd_count(s, pa), 19);

    /* The count is never too low, and rarely too high even with many other
     * addresses. */
    struct address_count_place *all = calloc(20000, sizeof *all);
    uint64_t                    most = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t x[2] = {i, i * 77};
        all[i] = address_count_find(w, 0, x);
        address_count_enter(w, 2, all[i]);
    }
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t n = shm_crowd_count(s, all[i]);
        if (n > most)
            most = n;
        if (n < 1)
            CHECK(!"counted");
    }
    CHECK(most < 20);
    printf("20000 addresses, one connection each: counted as %d at most\n",
        (int)most);
    free(all);
    buf_free(&errors);
}

/* A row of another process is one of this table, or it is left out. */
static void
penalties_that_arrive(void)
{
    static const struct {
        const char *line;
        int         at; /* the row that it changes, -1: none */
    } lines[] = {
        {"penalties rows=%u key=1:2", -1},
        {"penalty row=0 tag=1 strikes=1", 0},
        {"penalty row=%u tag=1 strikes=1", -1},
        {"penalty row=7 tag=0 strikes=1", -1},
        {"penalty tag=1 strikes=1", -1},
        {"penalty row=4294967295 tag=1 strikes=1", -1},
    };
    enum { BEHIND = 64 }; /* rows of memory behind the table */
    struct penalty *t = calloc(1, penalty_size(1000) + BEHIND * 8);

    penalty_init(t, 1000);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char          text[100];
        struct fields f;
        UNIT_CASE(lines[i].line);
        int n = snprintf(text, sizeof text, lines[i].line, t->rows);
        CHECK(fields_parse(&f, text, (size_t)n));
        CHECK(penalty_read(t, &f));
        for (uint32_t row = 0; row < t->rows + BEHIND; row++) {
            CHECK_EQ(t->row[row] != 0, (int)row == lines[i].at);
            t->row[row] = 0;
        }
    }
    UNIT_CASE("");
    free(t);
}

static void
waits_double_and_end(void)
{
    struct penalty *t = calloc(1, penalty_size(1000));
    uint32_t        now = 1000, wait = 0;

    penalty_init(t, 1000);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(penalty_count(t, 1, "CP1", 3, now, 10, 60), 0);
    CHECK_EQ(penalty_count(t, 1, "CP1", 3, now, 10, 60), 5);
    CHECK_EQ(penalty_waits(t, 1, "CP1", 3, now), 5);
    CHECK_EQ(penalty_waits(t, 2, "CP1", 3, now), 0); /* another kind of name */
    CHECK_EQ(penalty_count(t, 1, "CP1", 3, now + 3, 10, 60),
        2); /* a penalty that does not count for it any more */
    now += 5;
    CHECK_EQ(penalty_waits(t, 1, "CP1", 3, now), 0);
    for (uint32_t want = 10; want <= 320; want *= 2) {
        for (int i = 0; i < 11; i++)
            wait = penalty_count(t, 1, "CP1", 3, now, 10, 60);
        CHECK_EQ(wait, want < 60 ? want : 60);
        now += wait;
    }
    /* After an hour without failures, all is forgotten. */
    now += PENALTY_FORGET_S;
    for (int i = 0; i < 11; i++)
        wait = penalty_count(t, 1, "CP1", 3, now, 10, 60);
    CHECK_EQ(wait, 5);
    /* Ten failures in each minute are within the limit, for any time. */
    for (int m = 0; m < 100; m++)
        for (int i = 0; i < 10; i++)
            CHECK_EQ(penalty_count(
                         t, 1, "CP2", 3, 10000u + 60u * (unsigned)m, 10, 60),
                0);
    /* A minute within the limit takes one strike back: the next delay is as
     * long as the one before, and after two such minutes half of it. */
    uint32_t t0 = 100000;
    for (int quiet = 0; quiet <= 2; quiet++) {
        static const uint32_t want[] = {20, 10, 5};
        char                  name[] = "Q0";
        name[1] = (char)('0' + quiet);
        uint32_t at = t0;
        for (int wave = 0; wave < 2; wave++) { /* delays of 5 s and 10 s */
            for (int i = 0; i < 11; i++)
                wait = penalty_count(t, 1, name, 2, at, 10, 60);
            at += wait;
        }
        CHECK_EQ(wait, 10);
        for (int q = 0; q < quiet; q++) {
            penalty_count(t, 1, name, 2, at, 10, 60);
            at += 2 * PENALTY_WINDOW_S;
        }
        for (int i = 0; i < 11; i++)
            wait = penalty_count(t, 1, name, 2, at, 10, 60);
        CHECK_EQ(wait, want[quiet]);
    }
    /* The end of a delay that the table has never set does not count. */
    for (uint32_t i = 0; i < t->rows; i++)
        t->row[i] |= UINT32_MAX;
    CHECK_EQ(penalty_waits(t, 1, "CP1", 3, now), 0);
    CHECK_EQ(penalty_count(t, 1, "CP1", 3, now, 10, 60), 0);
    free(t);
}

/* --- what is shown -------------------------------------------------------- */

static void
only_what_can_be_shown_is(void)
{
    static const struct {
        const char *in, *percent, *escape, *mask;
    } rows[] = {
        {"", "", "", ""},
        {"plain /ocpp/CP1", "plain /ocpp/CP1", "plain /ocpp/CP1",
            "plain /ocpp/CP1"},
        {"M\xc3\xbcnchen \xf0\x9f\x9a\x97", "M\xc3\xbcnchen \xf0\x9f\x9a\x97",
            "M\xc3\xbcnchen \xf0\x9f\x9a\x97",
            "M\xc3\xbcnchen \xf0\x9f\x9a\x97"},
        {"a\x1b[2Jb", "a%1B[2Jb", "a\\u001b[2Jb", "a?[2Jb"},
        {"a\xc2\x9b"
         "2J",
            "a%C2%9B2J", "a\\u009b2J", "a??2J"},
        {"\xc2\x9d"
         "0;x\xc2\x9c",
            "%C2%9D0;x%C2%9C", "\\u009d0;x\\u009c", "??0;x??"},
        {"\xe2\x80\xaegnp.\x7f", "%E2%80%AEgnp.%7F", "\\u202egnp.\\u007f",
            "???gnp.?"},
        {"\xf3\xa0\x80\x81", "%F3%A0%80%81", "\\udb40\\udc01", "????"},
        {"a\xff\xc3 \x80", "a%FF%C3 %80", "a?? ?", "a?? ?"},
        {"a\nb\tc\rd", "a%0Ab%09c%0Dd", "a\nb\tc d", "a?b?c?d"},
    };
    char percent[64];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_INIT(256), mask = BUF_INIT(256);
        size_t     n = strlen(rows[i].in);
        UNIT_CASE(rows[i].escape);
        CHECK_EQ(printable_percent(percent, sizeof percent, rows[i].in, n),
            strlen(rows[i].percent));
        CHECK_STR(percent, rows[i].percent);
        CHECK(printable_escape(&out, rows[i].in, n));
        CHECK_STR(buf_cstr(&out), rows[i].escape);
        buf_add(&mask, rows[i].in, n);
        printable_mask(mask.p, mask.len);
        CHECK_STR(buf_cstr(&mask), rows[i].mask);
        buf_free(&out);
        buf_free(&mask);
    }
    UNIT_CASE("cut between two characters");
    printable_percent(percent, 9, "abcdef\xc3\xbcg", 9);
    CHECK_STR(percent, "abcde...");
    printable_percent(percent, 9, "abcdefgh", 8);
    CHECK_STR(percent, "abcdefgh");
    UNIT_CASE("");
}

int
main(void)
{
    only_what_can_be_shown_is();
    ranges_are_read_and_hold_addresses();
    credential_lines();
    keys();
    new_keys_come_and_go();
    the_text_is_changed_line_by_line();
    many_identities_are_found();
    the_deny_list();
    a_crowd_is_counted_over_workers();
    penalties_that_arrive();
    waits_double_and_end();
    return unit_done();
}
