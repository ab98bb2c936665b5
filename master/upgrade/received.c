/* received: the records that the new program gets before it starts. See
   received.h. */
#include "upgrade/received.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/master.h"
#include "channel.h"
#include "config.h"
#include "control/control_socket.h"
#include "cref.h"
#include "log.h"
#include "number.h"
#include "shm_state.h"
#include "upgrade/foreign.h"
#include "upgrade/program.h"
#include "upgrade/state_file.h"
#include "workers/listen.h"

/* The most ids that the old program may still draw. */
#define IDS_APART 1000000

static struct {
    bool     complete;
    unsigned slots;
    uint64_t ids;
    char     version[24], node[40], state_dir[CONF_TEXT_MAX];
    char     control_path[CONF_TEXT_MAX];
    int      control, state; /* socket; file of records */
} in = {.control = -1, .state = -1};

int
received_descriptor(void)
{
    const char *text = getenv(PROGRAM_VARIABLE);
    uint64_t    fd;

    if (text == NULL)
        return -1;
    bool good = number_u64(text, strlen(text), INT32_MAX, &fd) && fd > 2;
    unsetenv(PROGRAM_VARIABLE);
    int       type = 0;
    socklen_t size = sizeof type;
    if (good && getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
        type == SOCK_STREAM)
        return (int)fd;
    return -1;
}

static void
take_hello(struct fields *f)
{
    in.slots = (unsigned)fields_u64(f, "slots", 0, CREF_SLOTS);
    in.ids = fields_u64(f, "ids", 0, UINT64_MAX / 2);
    snprintf(in.version, sizeof in.version, "%s",
        fields_str(f, "version", sizeof in.version - 1));
    snprintf(in.node, sizeof in.node, "%s",
        fields_str(f, "node", sizeof in.node - 1));
    snprintf(in.state_dir, sizeof in.state_dir, "%s",
        fields_str(f, "state_dir", sizeof in.state_dir - 1));
}

bool
received_take(struct fields *f, int passed)
{
    uint64_t slot = fields_u64(f, "slot", CREF_SLOTS, CREF_SLOTS - 1);

    if (strcmp(f->word, "hello") == 0) {
        take_hello(f);
        return false;
    }
    if (passed < 0)
        return false;
    if (strcmp(f->word, "listener") == 0) {
        bool tls = strcmp(fields_str(f, "kind", 16), "tls") == 0;
        listen_offer(tls ? LISTENER_TLS : LISTENER_PLAIN,
            fields_bool(f, "admin", false) ? LISTEN_ADMIN : (unsigned)slot,
            passed);
    } else if (strcmp(f->word, "control") == 0 && in.control < 0) {
        snprintf(in.control_path, sizeof in.control_path, "%s",
            fields_str(f, "path", sizeof in.control_path - 1));
        in.control = passed;
    } else if (strcmp(f->word, "lock") == 0 && master.lockfd < 0) {
        master.lockfd = passed;
    } else if (strcmp(f->word, "worker") == 0 && slot < CREF_SLOTS) {
        foreign_process((unsigned)slot, passed);
    } else if (strcmp(f->word, "channel") == 0 && slot < CREF_SLOTS) {
        foreign_channel((unsigned)slot, passed);
    } else if (strcmp(f->word, "state") == 0 && in.state < 0) {
        in.state = passed;
        in.complete = true;
    } else {
        return false;
    }
    return true;
}

bool
received_complete(void)
{
    return in.complete;
}

unsigned
received_slots(void)
{
    return in.slots;
}

const char *
received_version(void)
{
    return in.version;
}

bool
received_check(struct buf *why)
{
    channel_ids_above(in.ids + IDS_APART);
    if (in.slots == 0 || master.lockfd < 0) {
        buf_adds(
            why, "the old program has not sent all records that are needed");
        return false;
    }
    if (strcmp(in.state_dir, master.config.server_state_dir) != 0) {
        buf_addf(why,
            "server.state_dir = %s: it is %s now, and an upgrade cannot move "
            "the journal; change it with a restart",
            master.config.server_state_dir, in.state_dir);
        return false;
    }
    return true;
}

static void
state_record(struct fields *f)
{
    if (!shm_state_read(master.shm, f))
        log_debug("upgrade: the record `%s` is ignored", f->word);
}

bool
received_take_state(struct buf *why)
{
    if (strcmp(in.node, master.shm->node) != 0) {
        buf_addf(why,
            "server.node = %s: it is %s now; event numbers and sessions carry "
            "the name, so change it with a restart",
            master.shm->node, in.node);
        return false;
    }
    if (!state_file_read(in.state, state_record)) {
        buf_adds(why, "the state of the old program cannot be read");
        return false;
    }
    close(in.state);
    in.state = -1;
    return true;
}

void
received_open_control(void)
{
    const char *path = master.config.server_control;
    struct buf  why = BUF_INIT(4096);

    if (in.control >= 0 && strcmp(path, in.control_path) == 0) {
        control_socket_adopt(path, in.control);
        in.control = -1;
    } else if (!control_socket_open(
                   path, master.config.server_control_group, &why)) {
        log_error("%s", buf_cstr(&why));
    } else if (in.control >= 0) {
        unlink(in.control_path);
        close(in.control);
        in.control = -1;
    }
    buf_free(&why);
}
