/* dispatch: defines the up-calls of up.h, and passes each to the file that
   handles it. */
#include "base/up.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/auth.h"
#include "access/certificate.h"
#include "access/guard.h"
#include "access/rates.h"
#include "base/master_link.h"
#include "base/self.h"
#include "drain.h"
#include "ensure.h"
#include "fleet/inbox.h"
#include "fleet/shards.h"
#include "fleet/ship.h"
#include "log.h"
#include "move/entries.h"
#include "move/handover.h"
#include "move/inherit.h"
#include "move/rebalance.h"
#include "net/tls_queue.h"
#include "session/accept.h"
#include "session/answers.h"
#include "session/asking.h"
#include "session/calls.h"
#include "session/former.h"
#include "session/handshake.h"
#include "session/session.h"
#include "session/tap.h"
#include "worker.h"

void
up_bytes(struct conn *c, const uint8_t *p, size_t n)
{
    if (c->state == CONN_HANDSHAKE)
        handshake_input(c, p, n);
    else {
        if (c->state == CONN_OPEN)
            rates_bytes(c, n);
        session_bytes(c, p, n);
    }
}

bool
up_peer_known(struct conn *c)
{
    return handshake_enter(c);
}

void
up_refused(struct conn *c, enum refuse_reason reason, const char *detail)
{
    handshake_refuse(c, reason, 0, detail);
}

void
up_broken(struct conn *c, enum close_reason reason)
{
    if (c->state == CONN_HANDSHAKE && c->kind == LISTENER_TLS && c->tls == 0)
        tls_queue_broken(c);
    else if (c->state == CONN_HANDSHAKE)
        handshake_refuse(c, REFUSE_gave_up, 0, NULL);
    else
        session_broken(c, reason);
}

void
up_gone(struct conn *c)
{
    ensure(c->state == CONN_CLOSING);
    STAT_DEC(self.st, closing);
    guard_leave(c);
    certificate_forget(c);
}

/* The work for a message depends on its length, so a compressed one counts with
 * all its bytes. Otherwise 128 KiB could be a message of 128 MiB. */
void
up_inflated(void *owner, size_t len)
{
    struct conn *c = owner;

    if (c->state == CONN_OPEN)
        rates_bytes(c, len);
}

bool
up_message(void *owner, unsigned opcode, const char *data, size_t len)
{
    return session_message(owner, opcode, data, len);
}

bool
up_pong(void *owner, const uint8_t *data, size_t len)
{
    session_pong(owner, data, len);
    return true;
}

void
up_close(void *owner, int status, const char *reason, size_t len)
{
    (void)reason, (void)len;
    session_closed(owner, status);
}

void
up_committed(uint64_t number)
{
    answers_committed(number);
    calls_committed(number);
    ship_poke();
}

void
up_auth_answered(struct conn *c, struct auth_redis_answer *a)
{
    if (self.frozen)
        return; /* the successor asks again */
    handshake_answered(c, a);
    conn_settle(c);
}

void
up_auth_offered(struct conn *c)
{
    calls_pump(c);
    conn_settle(c);
}

void
up_redis_ready(unsigned shard, bool new_server)
{
    shards_ready(shard, new_server);
}

void
up_redis_lost(unsigned shard)
{
    shards_lost(shard);
    ship_lost();
}

void
up_redis_listen(void)
{
    inbox_listen();
}

void
up_calls_wait(struct conn *c)
{
    calls_pump(c);
    conn_settle(c);
}

void
up_call_taken(struct conn *c, struct queued_call *q, const char *action,
    const char *payload, size_t len)
{
    calls_take_queued(c, q, action, payload, len);
}

void
up_platform_answered(const char *token, const char *payload, size_t len)
{
    asking_answered(token, payload, len);
}

void
up_question_closed(const char *token, enum question_closed how,
    const char *payload, size_t len)
{
    /* If the slot is being handed over, the successor closes the question
       again. */
    if (!self.frozen)
        asking_closed(token, how, payload, len);
}

void
up_starts_replied(void)
{
    answers_retry();
}

void
up_handed_over(bool good)
{
    exit(good ? WORKER_EXIT_DONE : WORKER_EXIT_TRY_AGAIN);
}

void
up_replaced(struct conn *c)
{
    session_end(c, CLOSE_replaced, NULL);
    conn_settle(c);
}

void
up_orphaned(void)
{
    /* No successor will be started, so all connections are closed properly. All
     * acknowledged events are durable before this process ends. */
    log_error("the master has ended; closing all connections");
    drain_begin(self.conf.server_drain_time);
}

void
up_passed(const struct channel_msg *m, int fd)
{
    if (m->type == CHANNEL_tls)
        tls_queue_renew(fd);
    else if (m->type == CHANNEL_adopt && m->id < LISTENER_KINDS)
        accept_adopt(fd, (enum listener_kind)m->id, (unsigned)m->arg);
    else if (m->type == CHANNEL_hand_over)
        handover_begin(fd, m->arg);
    else if (m->type == CHANNEL_entries)
        entries_read(fd);
    else if (m->type == CHANNEL_inherit)
        inherit_more(fd);
    else if (m->type == CHANNEL_give)
        rebalance_give(fd, m->id);
    else if (m->type == CHANNEL_reopen)
        log_take(fd);
    else
        close(fd);
}

void
up_datagram(const struct channel_msg *m, const char *body)
{
    static struct buf described = {.max = CHANNEL_BODY_MAX};
    struct conn      *c = conn_find(m->conn);

    switch (m->type) {
    case CHANNEL_config:
        self_read_config();
        auth_tick();
        guard_tick();
        break;
    case CHANNEL_release:
        accept_release((unsigned)m->arg);
        break;
    case CHANNEL_drain:
        drain_begin(m->arg);
        break;
    case CHANNEL_takeover:
        if (c != NULL)
            session_check_owner(c);
        else if (m->arg < self.mem->born && m->id < shm_capacity(self.shm))
            /* The former process died before it read this datagram. */
            session_replaced_former((uint32_t)m->id, m->arg);
        break;
    case CHANNEL_call:
        calls_take(m, body);
        break;
    case CHANNEL_settle:
        calls_settle(m, body);
        break;
    case CHANNEL_disconnect:
        if (c != NULL)
            session_end(c, CLOSE_operator, NULL);
        break;
    case CHANNEL_ask:
        buf_clear(&described);
        if (c != NULL) {
            /* The master reads the entry after it has received this answer. */
            if (c->state == CONN_OPEN &&
                registry_holds(self.registry, c->session.entry, c->self))
                session_note(c);
            session_describe(c, &described);
        }
        master_link_described(m->id, described.p, described.len);
        break;
    case CHANNEL_go:
        handover_go();
        break;
    case CHANNEL_freeze:
        self.held = m->arg != 0;
        if (!self.held)
            former_tick(); /* before the same charge points are accepted */
        accept_hold(self.held);
        break;
    case CHANNEL_tap:
        tap_add(m->id, body);
        break;
    case CHANNEL_untap:
        tap_remove(m->id);
        break;
    default:
        log_warn("the master sent a datagram of unknown type %u", m->type);
    }
    if (c != NULL)
        conn_settle(c);
}
