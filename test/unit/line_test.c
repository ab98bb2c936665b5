/* A line of the control protocol is cut into words, some of which are
 * quoted. */
#include "control_line.h"

#include <string.h>

#include "unit.h"

static struct control_line l;
static char                text[LINE_MAX_BYTES + 1];

static bool
cut(const char *s)
{
    memset(text, 'x', sizeof text);
    memcpy(text, s, strlen(s));
    return control_line_cut(&l, text, strlen(s));
}

static void
words_are_cut(void)
{
    CHECK(cut("connections --limit 10\n"));
    CHECK_EQ(l.words, 3);
    CHECK_STR(l.word[0], "connections");
    CHECK_STR(l.word[1], "--limit");
    CHECK_STR(l.word[2], "10");
    CHECK(l.word[3] == NULL);

    CHECK(cut("  \tshow \t CP1  \r\n"));
    CHECK_EQ(l.words, 2);
    CHECK_STR(l.word[1], "CP1");

    CHECK(cut("status"));
    CHECK_EQ(l.words, 1);
    CHECK_STR(l.word[0], "status");

    CHECK(cut(""));
    CHECK_EQ(l.words, 0);
    CHECK(cut("\n"));
    CHECK_EQ(l.words, 0);
    CHECK(cut(" \t \n"));
    CHECK_EQ(l.words, 0);
}

static void
quotes_hold_together(void)
{
    CHECK(cut("call CP1 Reset '{\"type\": \"Hard\"}'\n"));
    CHECK_EQ(l.words, 4);
    CHECK_STR(l.word[3], "{\"type\": \"Hard\"}");

    CHECK(cut("call CP1 Reset \"{\\\"type\\\": \\\"Hard\\\"}\"\n"));
    CHECK_STR(l.word[3], "{\"type\": \"Hard\"}");

    CHECK(cut("a 'b c'\"d e\"\\ f g"));
    CHECK_EQ(l.words, 3);
    CHECK_STR(l.word[1], "b cd e f");
    CHECK_STR(l.word[2], "g");

    CHECK(cut("'' \"\" x"));
    CHECK_EQ(l.words, 3);
    CHECK_STR(l.word[0], "");
    CHECK_STR(l.word[1], "");

    CHECK(cut("\"a\\nb\\tc\\rd\\qe\\\\\""));
    CHECK_STR(l.word[0], "a\nb\tc\rd\\qe\\");

    CHECK(cut("'\\n' \\' \\\\"));
    CHECK_STR(l.word[0], "\\n");
    CHECK_STR(l.word[1], "'");
    CHECK_STR(l.word[2], "\\");
}

static void
errors_say_where(void)
{
    CHECK(!cut("call 'CP1"));
    CHECK_EQ(l.error, LINE_OPEN_SINGLE);
    CHECK_EQ(l.where, 5);
    CHECK_EQ(l.words, 0);
    CHECK(l.word[0] == NULL);

    CHECK(!cut("a bc\"d e\n"));
    CHECK_EQ(l.error, LINE_OPEN_DOUBLE);
    CHECK_EQ(l.where, 4);

    CHECK(!cut("\"a\\\"\n"));
    CHECK_EQ(l.error, LINE_OPEN_DOUBLE);

    CHECK(!cut("a \\"));
    CHECK_EQ(l.error, LINE_OPEN_ESCAPE);

    char nul[] = "a\0b\n";
    CHECK(!control_line_cut(&l, nul, 4));
    CHECK_EQ(l.error, LINE_NUL);
    CHECK_EQ(l.where, 1);

    char many[LINE_WORDS * 2 + 3] = "";
    for (int i = 0; i < LINE_WORDS; i++)
        strcat(many, "w ");
    CHECK(cut(many));
    CHECK_EQ(l.words, LINE_WORDS);
    CHECK(l.word[LINE_WORDS] == NULL);
    strcat(many, "w");
    CHECK(!cut(many));
    CHECK_EQ(l.error, LINE_TOO_MANY);
}

static void
quoting_comes_back(void)
{
    static const char *const all[] = {"", "plain", "two words", "it's", "\"q\"",
        "{\"a\": [1, 'x']}", "line\nbreak", "\\", "\\n", "tab\there", "\r",
        "\xc3\xa4", "'\"\\\n"};
    struct buf               b = BUF_INIT(4096);

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        buf_addc(&b, ' ');
        control_line_quote(&b, all[i]);
    }
    CHECK(strchr(buf_cstr(&b), '\n') == NULL);
    CHECK(control_line_cut(&l, b.p, b.len));
    CHECK_EQ(l.words, (int)(sizeof all / sizeof *all));
    for (int i = 0; i < l.words; i++)
        CHECK_STR(l.word[i], all[i]);
    buf_free(&b);
}

static void
a_long_word_fits(void)
{
    memset(text, 'j', LINE_MAX_BYTES);
    CHECK(control_line_cut(&l, text, LINE_MAX_BYTES));
    CHECK_EQ(l.words, 1);
    CHECK_EQ(strlen(l.word[0]), LINE_MAX_BYTES);
}

int
main(void)
{
    words_are_cut();
    quotes_hold_together();
    errors_say_where();
    quoting_comes_back();
    a_long_word_fits();
    return unit_done();
}
