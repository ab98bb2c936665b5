/* The credential file, and the keys in it. */
#include "auth_key.h"
#include "authfile.h"
#include "unit.h"

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
    const uint8_t  *digits = (const uint8_t *)"00fFA0";
    uint8_t         out[16];
    size_t          n;
    struct auth_key k, other;
    char            text[AUTH_KEY_TEXT];

    CHECK_EQ(auth_key_canonical(digits, 6, out), 3);
    CHECK(out[0] == 0 && out[1] == 0xff && out[2] == 0xa0);
    CHECK_EQ(auth_key_canonical(digits, 5, out), 5);
    CHECK(!auth_key_unhex((const uint8_t *)"0g", 2, out, &n));
    CHECK(!auth_key_unhex(digits, 0, out, &n));
    auth_key_make(&k, digits, 6, NULL);
    CHECK(auth_key_matches(&k, digits, 6));
    CHECK(!auth_key_matches(&k, digits, 5));
    auth_key_text(&k, text);
    CHECK_EQ(strlen(text), AUTH_KEY_TEXT - 1);
    CHECK(auth_key_parse(text, strlen(text), &other));
    CHECK(auth_key_same(&k, &other));
    auth_key_make(&other, digits, 6, NULL);
    CHECK(!auth_key_same(&k, &other)); /* another salt */
    auth_key_make_offered(&k, "CP1", 3, digits, 6);
    auth_key_make_offered(&other, "CP1", 3, digits, 6);
    CHECK(auth_key_same(&k, &other) && auth_key_matches(&k, digits, 6));
    auth_key_make_offered(&other, "CP2", 3, digits, 6);
    CHECK(!auth_key_same(&k, &other));
    /* Every byte of the hash and of the salt is compared. */
    for (size_t i = 0; i < sizeof k; i++) {
        uint8_t *byte = (uint8_t *)&k + i;
        *byte ^= 0x80;
        CHECK(!auth_key_matches(&k, digits, 6));
        *byte ^= 0x80;
        CHECK(auth_key_matches(&k, digits, 6));
    }
}

/* Returns the keys of the entry; each byte of the text is a key, such as 'a',
 * and the accepted key is in upper case. */
static const char *
holding(const struct authfile_entry *e)
{
    static char text[AUTHFILE_NEXT_MAX + 2];
    unsigned    n = 0;

    for (unsigned i = 0; i <= e->nexts; i++) {
        const struct auth_key *k = i == 0 ? &e->key : &e->next[i - 1];
        for (uint8_t c = 'a'; c <= 'i'; c++)
            if (auth_key_matches(k, &c, 1))
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
        /* The same key is sent again, and refused this time. */
        {"+b!b+b-b", "aB"},
        {"+a-a", "a"},
        /* It is unknown whether the charge point has received these keys. */
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
        auth_key_make_offered(&e.key, "CP1", 3, (const uint8_t *)"a", 1);
        for (const char *p = rows[i].steps; *p != '\0'; p += 2) {
            struct auth_key k;
            auth_key_make_offered(&k, "CP1", 3, (const uint8_t *)p + 1, 1);
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
    struct auth_key       k;
    auth_key_make_offered(&k, "CP1", 3, (const uint8_t *)"b", 1);
    CHECK(authfile_offer(&e, &k));
    CHECK(e.has_key && auth_key_same(&e.key, &k));
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
    auth_key_make(&e.key, (const uint8_t *)"x", 1, NULL);
    CHECK(authfile_set(&text, "new", 3, &e));
    CHECK(authfile_get(&text, "new", 3, &got));
    CHECK(got.has_key && got.nexts == 0 && auth_key_same(&got.key, &e.key));
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
    char                  id[32], key[AUTH_KEY_TEXT];

    auth_key_make(&e.key, (const uint8_t *)"k", 1, NULL);
    auth_key_text(&e.key, key);
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

int
main(void)
{
    credential_lines();
    keys();
    new_keys_come_and_go();
    the_text_is_changed_line_by_line();
    many_identities_are_found();
    return unit_done();
}
