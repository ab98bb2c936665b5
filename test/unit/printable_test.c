/* Text from outside is shown without control characters. */
#include "buf.h"
#include "printable.h"
#include "unit.h"

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
    return unit_done();
}
