/* exposition: the text format of Prometheus. See exposition.h. */
#include "admin/exposition.h"

#include <stdbool.h>

/* Escapes a text: a backslash and a newline in HELP, and also a quote in the
 * value of a label. */
static void
put_escaped(struct buf *out, const char *s, bool quote)
{
    for (; *s != '\0'; s++) {
        if (*s == '\\')
            buf_adds(out, "\\\\");
        else if (*s == '\n')
            buf_adds(out, "\\n");
        else if (*s == '"' && quote)
            buf_adds(out, "\\\"");
        else
            buf_addc(out, *s);
    }
}

void
exposition_label(struct buf *out, const char *text)
{
    put_escaped(out, text, true);
}

void
exposition_head(
    struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP ocppd_%s ", name);
    put_escaped(out, help, false);
    buf_addf(out, "\n# TYPE ocppd_%s %s\n", name, type);
}
