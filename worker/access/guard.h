/*
 * guard: limits for clients, before and after they are known.
 *
 * Before the handshake: the deny list, how many connections an address and
 * its network have in the opening handshake, how many handshakes are in
 * progress, how fast connections are accepted. During the handshake: how
 * often wrong keys and other failures came from the address, how many open
 * connections the address and its network have, how often the identity
 * connects. After it: how much a connection sends (rates.h), what buffers it
 * holds. Each limit is a knob of [limits] and has its reason in close.def.
 */
#ifndef WORKER_ACCESS_GUARD_H
#define WORKER_ACCESS_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "registry.h"

/* inherits: the slot's count is still its former process' (guard_inherit()).
 */
void guard_open(bool inherits);
/* Once a second, and after a change of the configuration or the deny list. */
void guard_tick(void);

/* True while a handshake has to wait, because the deny list has changed and is
 * being read; for a second at most. */
bool guard_waits(void);

/* Whether one more connection may be accepted now; otherwise the caller tries
 * again soon. */
bool guard_may_accept(void);
void guard_accepted(void); /* one was */

/* Whether the address is one of server.proxy_from. */
bool guard_from_proxy(const uint64_t addr[2]);

/*
 * A connection passes through here as it becomes known:
 *
 *   guard_enter()       its address: counted among those in the opening
 *                       handshake
 *   guard_before_key()  its identity, without proof
 *   guard_identity()    its identity, proven
 *   guard_opened()      counted among the open ones of its address
 *   guard_leave()       counted no longer
 *
 * The first three return REFUSE_REASONS if the connection may go on. Only
 * what would be refused anyway is refused because of its address' failures:
 * behind one address there may be a whole site. An IPv6 address is its /64.
 */
enum refuse_reason guard_enter(struct conn *c, const char **detail);
enum refuse_reason guard_before_key(
    const struct conn *c, const char *name, size_t len);
/* former: the registry entry of the identity, or NULL. A connection that takes
 * the place of one of its own address needs no place. */
enum refuse_reason guard_identity(const struct conn *c, const char *name,
    size_t len, const struct registry_entry *former, const char **detail);
void               guard_opened(struct conn *c);

/* A handshake is about to be refused: counts the failure. Returns the reason,
 * or REFUSE_failing if the address has failed too often. */
enum refuse_reason guard_refuses(const struct conn *c,
    enum refuse_reason reason, const char *name, size_t len);
/* For the Retry-After of a refusal of one of the above. */
uint32_t guard_retry_s(void);
void     guard_leave(struct conn *c);

/* Once a second for each OPEN connection; CLOSE_REASONS to go on, else why
 * it is to be closed. */
enum close_reason guard_check(struct conn *c);

/* The part of access/ in a connection's record (moving.h). addr: of the peer.
 */
void guard_write(const struct conn *c, struct buf *out);
bool guard_read(struct conn *c, struct fields *f, const uint64_t addr[2]);
/* This worker inherits what its slot counted: the count begins anew. */
void guard_inherit(void);

/* The part of access/ is quiet: the connection is not slowed down. */
bool guard_is_quiet(const struct conn *c);

#endif
