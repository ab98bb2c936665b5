/* offer: the records that the old program sends. See offer.h. */
#include "upgrade/offer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "access/access.h"
#include "admin/admin.h"
#include "base/master.h"
#include "channel.h"
#include "control/control.h"
#include "control/control_socket.h"
#include "control/last_outcomes.h"
#include "control/pending_calls.h"
#include "shm_state.h"
#include "upgrade/foreign.h"
#include "upgrade/format.h"
#include "version.h"
#include "workers/slot.h"

static struct buf line = {.max = PEER_LINK_LINE_MAX};

static void
begin_line(const char *word)
{
    buf_clear(&line);
    fields_begin(&line, word);
}

static void
send_line(struct peer_link *l, int passed)
{
    if (passed >= 0)
        fields_put_u64(&line, "fd", 1);
    fields_end(&line);
    peer_link_send(l, &line, passed);
}

static void
send_listeners(struct peer_link *l, const struct listen_set *set, unsigned slot)
{
    for (unsigned i = 0; i < set->n; i++) {
        begin_line("listener");
        fields_put_str(
            &line, "kind", set->at[i].kind == LISTENER_TLS ? "tls" : "plain");
        if (slot == LISTEN_ADMIN)
            fields_put_u64(&line, "admin", 1);
        else
            fields_put_u64(&line, "slot", slot);
        send_line(l, set->at[i].fd);
    }
}

void
offer_worker(struct peer_link *l, const char *word, unsigned slot, int fd)
{
    if (fd < 0)
        return;
    begin_line(word);
    fields_put_u64(&line, "slot", slot);
    send_line(l, fd);
}

/* Sends a pidfd and the channel, with which the new program can make the worker
 * hand over even after the death of this master. */
static void
send_worker(struct peer_link *l, unsigned slot)
{
    pid_t pid = slot_pid(slot);
    int   fd = pid != 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

    if (foreign_lives(slot)) {
        offer_worker(l, "worker", slot, foreign_process_fd(slot));
        offer_worker(l, "channel", slot, foreign_channel_fd(slot));
    } else if (fd >= 0) {
        offer_worker(l, "worker", slot, fd);
        offer_worker(l, "channel", slot, slot_channel(slot));
    }
    if (fd >= 0)
        close(fd);
}

void
offer_first(struct peer_link *l)
{
    begin_line("hello");
    fields_put_u64(&line, "format", UPGRADE_FORMAT);
    fields_put_str(&line, "version", OCPPD_VERSION);
    fields_put_u64(&line, "slots", master.slots);
    fields_put_u64(&line, "ids", channel_next_id());
    fields_put_str(&line, "node", master.shm->node);
    fields_put_str(&line, "state_dir", master.config.server_state_dir);
    send_line(l, -1);
    for (unsigned i = 0; i < master.slots; i++) {
        send_listeners(l, slot_listeners(i), i);
        send_worker(l, i);
    }
    send_listeners(l, admin_listeners(), LISTEN_ADMIN);
    if (control_socket_fd() >= 0) {
        begin_line("control");
        fields_put_str(&line, "path", master.config.server_control);
        send_line(l, control_socket_fd());
    }
    begin_line("lock");
    send_line(l, master.lockfd);
}

void
offer_file(struct peer_link *l, const char *word, int fd)
{
    begin_line(word);
    send_line(l, fd);
}

void
offer_slot(struct peer_link *l, const char *word, unsigned slot, bool died)
{
    begin_line(word);
    fields_put_u64(&line, "slot", slot);
    if (died)
        fields_put_u64(&line, "died", 1);
    send_line(l, -1);
}

static void
send_client(struct peer_link *l, uint64_t id)
{
    int fd;

    buf_clear(&line);
    if (!control_write(id, &line, &fd))
        return;
    peer_link_send(l, &line, fd);
    control_moved(id);
}

void
offer_commands(struct peer_link *l, unsigned slot)
{
    uint64_t client;

    for (uint64_t id = 0; (id = pending_calls_next(id, slot, &client)) != 0;) {
        if (client != 0)
            send_client(l, client);
        buf_clear(&line);
        pending_calls_write(id, &line);
        peer_link_send(l, &line, -1);
    }
}

/* Sends the counters as several records, one at a time. */
static void
send_counters(struct peer_link *l)
{
    struct buf all = BUF_INIT(PEER_LINK_LINE_MAX);

    shm_state_write_counters(master.shm, &all);
    for (size_t at = 0; at < all.len;) {
        char  *nl = memchr(all.p + at, '\n', all.len - at);
        size_t n = (size_t)(nl - (all.p + at)) + 1;
        buf_clear(&line);
        buf_add(&line, all.p + at, n);
        peer_link_send(l, &line, -1);
        at += n;
    }
    buf_free(&all);
}

void
offer_last(struct peer_link *l)
{
    bool     waits;
    uint64_t next;

    send_counters(l);
    for (unsigned i = 0;; i++) {
        buf_clear(&line);
        if (!access_write_key(i, &line))
            break;
        peer_link_send(l, &line, -1);
    }
    buf_clear(&line);
    for (unsigned i = 0; last_outcomes_write(i, &line); i++) {
        if (line.len > 0)
            peer_link_send(l, &line, -1);
        buf_clear(&line);
    }
    for (uint64_t id = 0; (next = control_next(id, &waits)) != 0; id = next)
        send_client(l, next);
}

void
offer_end(struct peer_link *l, uint64_t began_ms, uint64_t froze_ms)
{
    begin_line("end");
    fields_put_u64(&line, "began_ms", began_ms);
    fields_put_u64(&line, "froze_ms", froze_ms);
    send_line(l, -1);
}
