/* arguments: values that several commands read from the command line and the
 * configuration. See ctl.h. */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "config_read.h"
#include "since.h"

bool
ctl_since(const char *text, uint64_t *wall_ms)
{
    bool good = since_parse(text, wall_ms);

    if (!good)
        ctl_report("--since %s: " SINCE_FORM, text);
    return good;
}

/* Reads a configuration; NULL if it has errors, which are printed if `loud`. */
static const char *
socket_of(const char *file, bool loud)
{
    static struct config c;
    struct buf           errors = BUF_INIT(65536);

    bool ok = config_read_partial(&c, file, &errors);
    if (!ok && loud)
        fwrite(errors.p, 1, errors.len, stderr);
    buf_free(&errors);
    return ok ? c.server_control : NULL;
}

bool
ctl_find_socket(struct ctl *ctl)
{
    const char *env = getenv("OCPPD_CONTROL");

    if (ctl->socket != NULL)
        return true;
    if (ctl->conf != NULL)
        ctl->socket = socket_of(ctl->conf, true);
    else if (env != NULL && env[0] != '\0')
        ctl->socket = env;
    else if (access(CONFIG_FILE, R_OK) == 0)
        ctl->socket = socket_of(CONFIG_FILE, false);
    if (ctl->socket == NULL && ctl->conf == NULL)
        ctl->socket = socket_of(NULL, true);
    if (ctl->socket != NULL && ctl->socket[0] == '\0') {
        ctl_report("server.control is empty: this daemon has no "
                   "control socket");
        return false;
    }
    return ctl->socket != NULL;
}
