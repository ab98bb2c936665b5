/* cmd_redis: `ocppctl redis`. See command.h. */
#include "admin/report.h"
#include "base/master.h"
#include "control/command.h"
#include "control/control.h"
#include "writer.h"

void
cmd_redis(struct client *c, int argc, char **argv)
{
    struct buf    out = BUF_INIT(1 << 20);
    struct config conf;
    struct writer w = WRITER_INIT(&out);

    if (argc > 1) {
        command_usage(c, argv, "too many words, beginning with %.64s", argv[1]);
        return;
    }
    shm_config_read(master.shm, &conf);
    if (c->format == 'j') {
        writer_open(&w, NULL, '{');
        report_redis(&w, master.shm, &conf);
        writer_close(&w);
        buf_addc(&out, '\n');
    } else {
        report_redis_text(&out, master.shm, &conf);
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    buf_free(&out);
}
