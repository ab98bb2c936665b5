/* mdoc: sentences of the tables as manual page source. See mdoc.h. */
#include "mdoc.h"

#include <string.h>

#define COLUMNS 72 /* mandoc -T lint accepts at most 80 */

void
mdoc_prose(struct buf *out, const char *s, bool capital)
{
    size_t column = 0;

    while (*s != '\0') {
        size_t n = strcspn(s, " ");
        if (column > 0 && column + 1 + n > COLUMNS) {
            buf_addc(out, '\n');
            column = 0;
        } else if (column > 0) {
            buf_addc(out, ' ');
            column++;
        }
        if (column == 0 && (*s == '.' || *s == '\''))
            buf_adds(out, "\\&");
        for (size_t i = 0; i < n; i++) {
            if (s[i] == '\\')
                buf_adds(out, "\\e");
            else if (capital && s[i] >= 'a' && s[i] <= 'z')
                buf_addc(out, (char)(s[i] - 'a' + 'A'));
            else
                buf_addc(out, s[i]);
            capital = false;
        }
        column += n;
        if (n > 0 && (s[n - 1] == '.' || s[n - 1] == '?')) {
            buf_addc(out, '\n');
            column = 0;
        }
        s += n + strspn(s + n, " ");
    }
    if (column > 0)
        buf_adds(out, ".\n");
}
