/* control_line: a line of the control protocol, cut into words. See
 * control_line.h. */
#include "control_line.h"

#include <string.h>

/* The words are written over the line: a word is never longer than its source,
 * and the NUL after it replaces the blank (or the byte after the line). */
struct cutter {
    const char *in, *end;
    char       *out;
};

static enum control_line_error
cut_single(struct cutter *c)
{
    while (c->in < c->end && *c->in != '\'')
        *c->out++ = *c->in++;
    if (c->in == c->end)
        return LINE_OPEN_SINGLE;
    c->in++;
    return LINE_OK;
}

static enum control_line_error
cut_double(struct cutter *c)
{
    while (c->in < c->end && *c->in != '"') {
        char ch = *c->in++;
        if (ch == '\\' && c->in < c->end) {
            switch (*c->in++) {
            case '"':
                ch = '"';
                break;
            case '\\':
                ch = '\\';
                break;
            case 'n':
                ch = '\n';
                break;
            case 'r':
                ch = '\r';
                break;
            case 't':
                ch = '\t';
                break;
            default:
                c->in--;
            }
        }
        *c->out++ = ch;
    }
    if (c->in == c->end)
        return LINE_OPEN_DOUBLE;
    c->in++;
    return LINE_OK;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static enum control_line_error
cut_word(struct cutter *c, const char **began)
{
    enum control_line_error e = LINE_OK;

    while (e == LINE_OK && c->in < c->end && !is_blank(*c->in)) {
        *began = c->in;
        switch (*c->in) {
        case '\'':
            c->in++;
            e = cut_single(c);
            break;
        case '"':
            c->in++;
            e = cut_double(c);
            break;
        case '\\':
            if (++c->in == c->end)
                return LINE_OPEN_ESCAPE;
            /* fallthrough */
        default:
            *c->out++ = *c->in++;
        }
    }
    return e;
}

static bool
fail(struct control_line *l, enum control_line_error e, size_t where)
{
    l->error = e;
    l->where = where;
    l->words = 0;
    l->word[0] = NULL;
    return false;
}

bool
control_line_cut(struct control_line *l, char *text, size_t len)
{
    *l = (struct control_line){.error = LINE_OK};
    if (len > 0 && text[len - 1] == '\n')
        len--;
    if (len > 0 && text[len - 1] == '\r')
        len--;
    const char *nul = memchr(text, '\0', len);
    if (nul != NULL)
        return fail(l, LINE_NUL, (size_t)(nul - text));

    struct cutter c = {.in = text, .end = text + len, .out = text};
    for (;;) {
        while (c.in < c.end && is_blank(*c.in))
            c.in++;
        if (c.in == c.end)
            break;
        const char *began = c.in;
        if (l->words == LINE_WORDS)
            return fail(l, LINE_TOO_MANY, (size_t)(began - text));
        l->word[l->words] = c.out;
        enum control_line_error e = cut_word(&c, &began);
        if (e != LINE_OK)
            return fail(l, e, (size_t)(began - text));
        l->words++;
        /* Step over the blank before the NUL overwrites it. */
        if (c.in < c.end)
            c.in++;
        *c.out++ = '\0';
    }
    l->word[l->words] = NULL;
    return true;
}

const char *
control_line_error_text(enum control_line_error e)
{
    switch (e) {
    case LINE_OK:
        return "nothing is wrong";
    case LINE_TOO_MANY:
        return "too many words; put words that form one argument in quotes";
    case LINE_OPEN_SINGLE:
        return "a ' is not closed; close it, or write \\' for the character "
               "itself";
    case LINE_OPEN_DOUBLE:
        return "a \" is not closed; close it, or write \\\" for the character "
               "itself";
    case LINE_OPEN_ESCAPE:
        return "the line ends in a backslash; write \\\\ for the character "
               "itself";
    case LINE_NUL:
        return "the line holds a NUL byte; it must be text";
    }
    return "unknown";
}

void
control_line_quote(struct buf *out, const char *word)
{
    static const char escaped[] = "\"\\\n\r\t", letters[] = "\"\\nrt";

    if (strpbrk(word, "\n\r\t'") == NULL) {
        buf_addc(out, '\'');
        buf_adds(out, word);
        buf_addc(out, '\'');
        return;
    }
    buf_addc(out, '"');
    for (; *word != '\0'; word++) {
        const char *at = strchr(escaped, *word);
        char        c = *word;
        if (at != NULL) {
            buf_addc(out, '\\');
            c = letters[at - escaped];
        }
        buf_addc(out, c);
    }
    buf_addc(out, '"');
}
