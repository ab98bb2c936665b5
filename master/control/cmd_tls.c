/* cmd_tls: `ocppctl tls`. See command.h. */
#include <string.h>

#include "admin/report.h"
#include "base/master.h"
#include "control/command.h"
#include "control/control.h"
#include "knob.h"
#include "writer.h"

void
cmd_tls(struct client *c, int argc, char **argv)
{
    static const char *const names[] = {"--expiring"};
    static struct config     given;
    const char              *v[1] = {NULL};
    struct buf               out = BUF_INIT(16u << 20), why = BUF_INIT(256);
    struct writer            w = WRITER_INIT(&out);

    if (!command_options(c, &argc, argv, names, v, 1))
        return;
    if (argc > 1) {
        command_usage(c, argv, "too many words, beginning with %.64s", argv[1]);
        return;
    }
    given.tls_expiry_warning = 0;
    if (v[0] != NULL &&
        !knob_parse(CONF_KNOB_tls_expiry_warning, v[0], &given, &why)) {
        command_usage(c, argv, "--expiring %.64s: %s", v[0], buf_cstr(&why));
        buf_free(&why);
        return;
    }
    if (c->format == 'j') {
        writer_open(&w, NULL, '{');
        report_tls(&w, master.shm, given.tls_expiry_warning);
        writer_close(&w);
        buf_addc(&out, '\n');
    } else {
        report_tls_text(&out, master.shm, given.tls_expiry_warning);
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    buf_free(&out);
}
