/* slot: the places of the workers. See slot.h. */
#include "workers/slot_private.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/master.h"
#include "clock.h"
#include "ensure.h"
#include "workers/slot.h"

static struct slot *slots;

void
slot_create(void)
{
    slots = calloc(master.slots, sizeof *slots);
    ensure(slots != NULL);
    for (unsigned i = 0; i < master.slots; i++) {
        slots[i].n = i;
        slots[i].channel = slots[i].inherit = -1;
    }
}

bool
slot_created(void)
{
    return slots != NULL;
}

struct slot *
slot_at(unsigned n)
{
    return &slots[n];
}

struct shm_worker *
slot_shared(const struct slot *s)
{
    return shm_worker(master.shm, s->n);
}

void
slot_set_state(struct slot *s, enum shm_worker_state state)
{
    s->state = state;
    atomic_store(&slot_shared(s)->state, (int)state);
}

enum shm_worker_state
slot_state(unsigned n)
{
    return n < master.slots ? slots[n].state : SHM_WORKER_DOWN;
}

/* A copy with its NUL, printable, of bytes that another process may be writing
 * at this moment. */
const char *
slot_last_words(const struct slot *s, char out[SHM_WORDS_MAX])
{
    memcpy(out, slot_shared(s)->words, SHM_WORDS_MAX);
    out[SHM_WORDS_MAX - 1] = '\0';
    for (char *p = out; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return out;
}

void
slot_count_death(unsigned n, const char *text)
{
    struct shm_worker *w = slot_shared(&slots[n]);

    snprintf(w->death, sizeof w->death, "%s", text);
    atomic_store(&w->died_wall_ms, clock_wall_ms());
    atomic_store(&w->deaths, ++slots[n].deaths);
}

bool
slot_has_other(const struct slot *s)
{
    return s->heir.pid != 0 || s->former.pid != 0;
}

static void
kill_process(pid_t pid)
{
    if (pid != 0)
        kill(pid, SIGKILL);
}

void
slot_kill_heir(const struct slot *s)
{
    kill_process(s->heir.pid);
}

void
slot_kill_others(const struct slot *s)
{
    kill_process(s->heir.pid);
    kill_process(s->former.pid);
}

bool
slot_is_replaced(unsigned n)
{
    const struct slot *s = &slots[n];

    return s->restart || s->inheriting || slot_has_other(s);
}

bool
slot_is_settled(unsigned n)
{
    const struct slot *s = &slots[n];

    return s->state != SHM_WORKER_STARTING && s->state != SHM_WORKER_DRAINING &&
        !slot_has_other(s);
}

pid_t
slot_pid(unsigned n)
{
    return slots[n].pid;
}

int
slot_channel(unsigned n)
{
    return slots[n].channel;
}

/* --- datagrams ----------------------------------------------------------- */

bool
slot_send(unsigned slot, struct channel_msg *msg, const void *body, size_t n)
{
    if (slot >= master.slots || slots[slot].channel < 0) {
        errno = EPIPE;
        return false;
    }
    return channel_send(slots[slot].channel, msg, body, n);
}

/* Sends a datagram with a descriptor; does nothing if there is none. */
bool
slot_send_fd(unsigned slot, struct channel_msg *msg, int passed)
{
    return slots[slot].channel >= 0 &&
        channel_send_fd(slots[slot].channel, msg, passed);
}

/* --- listeners ----------------------------------------------------------- */

const struct listen_set *
slot_listeners(unsigned n)
{
    return &slots[n].listeners;
}

bool
slot_listen(struct slot *s, int backlog, struct buf *why)
{
    const struct config *c = &master.config;

    return listen_open(&s->listeners, LISTENER_PLAIN, s->n, "server.listen",
               c->server_listen, backlog, why) &&
        listen_open(&s->listeners, LISTENER_TLS, s->n, "server.listen_tls",
            c->server_listen_tls, backlog, why);
}

bool
slot_listen_begin(void)
{
    bool good = true;

    for (unsigned i = 0; i < master.slots; i++)
        good &= listen_begin(
            &slots[i].listeners, (int)master.config.server_backlog);
    return good;
}
