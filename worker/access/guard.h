/*
 * guard: limits for clients, before and after their identity is known.
 *
 * Before the handshake: the deny list, how many connections an address and its
 * network have in the opening handshake, how many handshakes are in progress,
 * how fast connections are accepted. During the handshake: how often wrong keys
 * and other failures came from the address, how many open connections the
 * address and its network have, how often the identity connects. After it: how
 * much a connection sends (rates.h), and how much memory its buffers take. Each
 * limit is a knob of [limits] and has its reason in close.def.
 */
#ifndef WORKER_ACCESS_GUARD_H
#define WORKER_ACCESS_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "registry.h"

/* inherits: the slot's counts still belong to its former process
 * (guard_inherit()).
 */
void guard_open(bool inherits);
/* Once a second, and after a change of the configuration or the deny list. */
void guard_tick(void);

/* True if one more connection may be accepted now; otherwise the caller tries
 * again soon. */
bool guard_may_accept(void);
void guard_accepted(void); /* one was accepted */

/* True if the address is one of server.proxy_from. */
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
 * The first three return REFUSE_REASONS if the connection may continue.
 * Failures of an address affect only connections that would be refused anyway,
 * because a whole site may be behind one address. An IPv6 address is its /64.
 */
enum refuse_reason guard_enter(struct conn *c, const char **detail);
enum refuse_reason guard_before_key(
    const struct conn *c, const char *name, size_t len);
/* former: the registry entry of the identity, or NULL. A connection that
 * replaces one from the same address does not count against the limit of the
 * address. */
enum refuse_reason guard_identity(const struct conn *c, const char *name,
    size_t len, const struct registry_entry *former, const char **detail);
void               guard_opened(struct conn *c);

/* For a connection in HANDSHAKE that passed guard_enter(): the number of
 * handshakes in progress, in all workers, from its address and from its
 * network. 0 for a connection that did not pass it yet. */
void guard_in_handshake(
    const struct conn *c, uint64_t *of_address, uint64_t *of_network);
/* True if both handshakes count against the limit of this reason, one of
 * crowded, crowded_prefix and handshakes_full. */
bool guard_share_limit(
    const struct conn *a, const struct conn *b, enum refuse_reason reason);

/* A handshake is about to be refused: counts the failure. Returns the reason,
 * or REFUSE_failing if the address has failed too often. */
enum refuse_reason guard_refuses(const struct conn *c,
    enum refuse_reason reason, const char *name, size_t len);
/* The seconds for the Retry-After header, after one of these functions has
   refused. */
uint32_t guard_retry_s(void);
void     guard_leave(struct conn *c);

/* Called once a second for each OPEN connection. Returns CLOSE_REASONS, or the
 * reason why the connection must be closed. */
enum close_reason guard_check(struct conn *c);

/* Write and read the part of access/ in a connection's record (moving.h). addr:
 * address of the peer. False if the record is malformed.
 */
void guard_write(const struct conn *c, struct buf *out);
bool guard_read(struct conn *c, struct fields *f, const uint64_t addr[2]);
/* This worker inherits the connections of its slot: the slot's counts are
   cleared, and each connection is counted again. */
void guard_inherit(void);

/* True if the part of access/ is quiet: the connection is not slowed down. */
bool guard_is_quiet(const struct conn *c);

#endif
