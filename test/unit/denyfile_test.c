/* Ranges of addresses, and the deny list. */
#include "cidr.h"
#include "denyfile.h"
#include "unit.h"

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

int
main(void)
{
    ranges_are_read_and_hold_addresses();
    the_deny_list();
    return unit_done();
}
