/* Any line is cut into words, and only the line is read. The words, quoted and
 * cut again, are the same words. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control_line.h"
#include "ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > LINE_MAX_BYTES)
        return 0;
    char *text = malloc(size + 1);
    ensure(text != NULL);
    memcpy(text, data, size);

    struct control_line l, again;
    if (control_line_cut(&l, text, size)) {
        struct buf b = BUF_INIT(8 * LINE_MAX_BYTES);
        for (int i = 0; i < l.words; i++) {
            buf_addc(&b, i % 2 ? ' ' : '\t');
            control_line_quote(&b, l.word[i]);
        }
        buf_addc(&b, '\n');
        ensure(!b.overflow && buf_reserve(&b, 1));
        ensure(memchr(b.p, '\n', b.len) == b.p + b.len - 1);
        ensure(control_line_cut(&again, b.p, b.len));
        ensure(again.words == l.words);
        for (int i = 0; i < l.words; i++)
            ensure(strcmp(again.word[i], l.word[i]) == 0);
        ensure(l.word[l.words] == NULL);
        buf_free(&b);
    } else {
        ensure(l.error != LINE_OK && l.where <= size);
        ensure(strlen(control_line_error_text(l.error)) > 8);
    }
    free(text);
    return 0;
}
