/* The client's address behind HTTP proxies. */
#include "net/forwarded.h"

#include <string.h>

#include "address.h"
#include "unit.h"

#define NO_X "the last element of X-Forwarded-For is not an address"
#define NO_F "the last element of Forwarded has no for= with an address"
#define TWO                                                                    \
    "X-Forwarded-For and Forwarded name different clients; the proxy has to "  \
    "remove the one that it does not set"

static const struct row {
    const char *x;      /* X-Forwarded-For; NULL: the header is absent */
    const char *f;      /* Forwarded */
    const char *client; /* or the reason, if there is no client */
} rows[] = {
    /* elements and blanks */
    {"192.0.2.1", NULL, "192.0.2.1"},
    {" \t192.0.2.1\t ", NULL, "192.0.2.1"},
    {"192.0.2.1,", NULL, "192.0.2.1"},
    {"192.0.2.1 , ,", NULL, "192.0.2.1"},
    {"", NULL, NO_X},
    {" ", NULL, NO_X},
    {"\t", NULL, NO_X},
    {",", NULL, NO_X},
    /* addresses and ports */
    {"192.0.2.1:0", NULL, "192.0.2.1"},
    {"192.0.2.1:9", NULL, "192.0.2.1:9"},
    {"192.0.2.1:10", NULL, "192.0.2.1:10"},
    {"192.0.2.1:65535", NULL, "192.0.2.1:65535"},
    {"192.0.2.1:00080", NULL, "192.0.2.1:80"},
    {"192.0.2.1:65536", NULL, NO_X},
    {"192.0.2.1:000080", NULL, NO_X},
    {"192.0.2.1:", NULL, NO_X},
    {"192.0.2.1:8/", NULL, NO_X},
    {"192.0.2.1:8:", NULL, NO_X},
    {"192.0.2.1:/8", NULL, NO_X},
    {"2001:db8::1", NULL, "[2001:db8::1]"},
    {"[2001:db8::1]", NULL, "[2001:db8::1]"},
    {"[2001:db8::1]:443", NULL, "[2001:db8::1]:443"},
    {"[2001:db8::1]443", NULL, NO_X},
    {"[2001:db8::1]:", NULL, NO_X},
    {"[2001:db8::1", NULL, NO_X},
    {"[]", NULL, NO_X},
    {"[", NULL, NO_X},
    {":80", NULL, NO_X},
    {"::ffff:192.0.2.1", NULL, "192.0.2.1"},
    {"2001:0db8:0000:0000:0000:0000:0000:0000:0000:1", NULL, NO_X},
    {"unknown", NULL, NO_X},
    /* trusted proxies have addresses of 10.0.0.0/8 */
    {"192.0.2.1, 10.0.0.1", NULL, "192.0.2.1"},
    {"198.51.100.9, 192.0.2.1, 10.0.0.1, 10.0.0.2", NULL, "192.0.2.1"},
    {"192.0.2.1:7,10.0.0.1:8", NULL, "192.0.2.1:7"},
    {"10.0.0.1, 10.0.0.2", NULL, "10.0.0.1"},
    {"unknown, 10.0.0.2", NULL, "10.0.0.2"},
    {"192.0.2.1, unknown", NULL, NO_X},
    {"192.0.2.1\n10.0.0.1", NULL, "192.0.2.1"}, /* two headers */
    {"192.0.2.1\n198.51.100.9", NULL, "198.51.100.9"},
    {"192.0.2.1\n", NULL, "192.0.2.1"},
    /* Forwarded (RFC 7239 sections 4 and 6) */
    {NULL, "for=192.0.2.1", "192.0.2.1"},
    {NULL, "FOR=\"192.0.2.1:80\"", "192.0.2.1:80"},
    {NULL, "For=\"[2001:db8::1]:443\"", "[2001:db8::1]:443"},
    {NULL, "proto=https; for=192.0.2.1 ;by=10.0.0.1", "192.0.2.1"},
    {NULL, "for=192.0.2.1, for=10.0.0.1;by=10.0.0.2", "192.0.2.1"},
    {NULL, "by=192.0.2.1", NO_F},
    {NULL, "for=", NO_F},
    {NULL, "for", NO_F},
    {NULL, "for=\"", NO_F},
    {NULL, "for=\"\"", NO_F},
    {NULL, "for=\"192.0.2.1", NO_F},
    {NULL, "for=_hidden", NO_F},
    {NULL, "for=\"198.51.100.9, for=192.0.2.1", "192.0.2.1"},
    /* both */
    {"192.0.2.1", "for=192.0.2.1", "192.0.2.1"},
    {"192.0.2.1:7", "for=\"192.0.2.1:8\"", "192.0.2.1:7"},
    {"192.0.2.1", "for=192.0.2.2", TWO},
    {"unknown", "for=192.0.2.1", NO_X},
    {"192.0.2.1", "for=unknown", NO_F},
};

static bool
is_proxy(const uint64_t addr[2])
{
    char text[ADDRESS_LEN];

    address_text(text, addr, 0);
    return strncmp(text, "10.", 3) == 0;
}

/* Each line of the text becomes a header. */
static struct http_lines
headers(const char *text)
{
    struct http_lines lines = {.n = 0};

    while (text != NULL) {
        const char *end = strchr(text, '\n');
        lines.line[lines.n++] = (struct http_span){text, strcspn(text, "\n")};
        text = end != NULL ? end + 1 : NULL;
    }
    return lines;
}

static void
clients(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row   *row = &rows[i];
        struct http_request r = {
            .forwarded_for = headers(row->x), .forwarded = headers(row->f)};
        struct forwarded out;
        char             text[ADDRESS_LEN];

        UNIT_CASE(row->x != NULL ? row->x : row->f);
        if (forwarded_client(&r, is_proxy, &out) == FORWARDED_ERROR) {
            CHECK_STR(out.why, row->client);
            continue;
        }
        address_text(text, out.addr, out.port);
        CHECK_STR(text, row->client);
    }
}

/* An empty last element, and a blank that does not belong to the value. */
static void
behind_the_value(void)
{
    struct http_request r = {
        .forwarded_for = {{{"192.0.2.1, ", strlen("192.0.2.1,")}}, 1}};
    struct forwarded out;
    char             text[ADDRESS_LEN];

    UNIT_CASE("after the value");
    CHECK_EQ(forwarded_client(&r, is_proxy, &out), FORWARDED_CLIENT);
    address_text(text, out.addr, out.port);
    CHECK_STR(text, "192.0.2.1");
}

static void
no_header(void)
{
    struct http_request r = {.consumed = 0};
    struct forwarded    out;

    UNIT_CASE("");
    CHECK_EQ(forwarded_client(&r, is_proxy, &out), FORWARDED_NONE);
    CHECK_EQ(out.addr[0], 0);
    CHECK_EQ(out.addr[1], 0);
}

int
main(void)
{
    clients();
    behind_the_value();
    no_header();
    return unit_done();
}
