/* control_move: clients of the control socket as records, for the new program
 * of an upgrade. See control.h. */
#include "control/control_private.h"

#include <string.h>

bool
control_write(uint64_t id, struct buf *out, int *fd)
{
    struct peer *p = (struct peer *)control_client(id);

    if (p == NULL || p->phase == REPLY || p->phase == STREAM)
        return false;
    if (p->phase == WAIT && p->shown.waits == NULL) {
        control_replyf(&p->shown, CONTROL_BUSY,
            "an upgrade has interrupted the command; try again");
        return false;
    }
    fields_begin(out, "client");
    fields_put_u64(out, "fd", 1);
    fields_put_u64(out, "id", p->shown.id);
    fields_put_u64(out, "uid", p->shown.uid);
    fields_put_u64(out, "admin", p->shown.admin);
    if (p->shown.format != 0)
        fields_put_bytes(out, "format", &p->shown.format, 1);
    if (p->phase == WAIT)
        fields_put_str(out, "waits", p->shown.waits);
    else
        fields_put_bytes(out, "line", p->line.p, p->line.len);
    if (p->shown.wait_until_ms != 0)
        fields_put_u64(out, "until_ms", p->shown.wait_until_ms);
    fields_end(out);
    *fd = p->fd;
    return true;
}

void
control_moved(uint64_t id)
{
    struct peer *p = (struct peer *)control_client(id);

    if (p != NULL)
        control_drop(p);
}

uint64_t
control_next(uint64_t after, bool *waits)
{
    struct peer *next = NULL;

    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        struct peer *p = control_peer(i);
        if (p != NULL && p->shown.id > after &&
            (next == NULL || p->shown.id < next->shown.id))
            next = p;
    }
    if (next == NULL)
        return 0;
    *waits = next->phase == WAIT;
    return next->shown.id;
}

struct client *
control_read(struct fields *f, int fd, const char **waits)
{
    const struct field *line = fields_find(f, "line");
    const struct field *format = fields_find(f, "format");
    struct peer        *p =
        control_add(fd, (uid_t)fields_u64(f, "uid", (uid_t)-1, (uid_t)-1),
            fields_bool(f, "admin", false));

    if (p == NULL)
        return NULL;
    p->former = fields_u64(f, "id", 0, UINT64_MAX);
    if (format != NULL && (format->value[0] == 'j' || format->value[0] == 'p'))
        p->shown.format = format->value[0];
    *waits = fields_str(f, "waits", 64);
    if ((*waits)[0] != '\0') {
        control_wait(&p->shown, NULL, 0,
            "the outcome of the command did not arrive in time; its event "
            "command.response holds it");
        p->shown.wait_until_ms = fields_u64(f, "until_ms", 0, UINT64_MAX);
    } else if (line != NULL && buf_add(&p->line, line->value, line->len) &&
        memchr(line->value, '\n', line->len) != NULL) {
        p->phase = HELD;
    }
    return &p->shown;
}

struct client *
control_former(uint64_t id)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        struct peer *p = control_peer(i);
        if (id != 0 && p != NULL && p->former == id)
            return &p->shown;
    }
    return NULL;
}
