/*
 * Feeds bytes to the configuration parser, as a file.
 *
 * It checks that a refusal is explained in whole lines, in a bounded number of
 * them; and that an accepted file, when it is printed, is read as the same
 * configuration.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "buf.h"
#include "config.h"
#include "config_put.h"
#include "config_read.h"
#include "ensure.h"
#include "knob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
reads_back(const struct config *c)
{
    struct buf    text = BUF_INIT(1 << 20), errors = BUF_INIT(1 << 20);
    struct config again;

    config_put_text(c, "fuzz", &text);
    ensure(!text.overflow);
    ensure(
        config_read_text(&again, "fuzz", text.p, text.len, NULL, 0, &errors));
    for (unsigned k = 0; k < CONF_KNOBS; k++)
        ensure(knob_same((enum conf_knob)k, c, &again));
    buf_clear(&text);
    config_put_json(c, "fuzz", &text);
    ensure(!text.overflow);
    buf_free(&text);
    buf_free(&errors);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf    errors = BUF_INIT(1 << 20);
    struct config c;
    const char   *text = (const char *)data;

    /* If the first line is "-o SETTING", it is an override, and the rest is the
     * file. */
    const char *eol = size > 3 ? memchr(text, '\n', size) : NULL;
    if (eol != NULL && memcmp(text, "-o ", 3) == 0) {
        struct buf setting = BUF_INIT(1 << 20);
        buf_add(&setting, text + 3, (size_t)(eol - text) - 3);
        struct config_override o = {buf_cstr(&setting)};
        config_read_text(&c, "fuzz", eol + 1, size - (size_t)(eol + 1 - text),
            &o, 1, &errors);
        buf_free(&setting);
    } else if (config_read_text(&c, "fuzz", text, size, NULL, 0, &errors)) {
        ensure(errors.len == 0);
        reads_back(&c);
    } else {
        size_t lines = 0;
        for (size_t i = 0; i < errors.len; i++)
            lines += errors.p[i] == '\n';
        ensure(!errors.overflow && lines >= 1 && lines <= CONF_ERRORS + 1);
        ensure(errors.p[errors.len - 1] == '\n');
    }
    buf_free(&errors);
    return 0;
}
