/*
 * guard: what a stranger, or many, may take of this gateway.
 *
 * Before the handshake: the deny list, how many connections an address and
 * its network have, who was refused too often, how many handshakes are in
 * progress, how fast connections are accepted. After it: how often an
 * identity connects, how much a connection says, what buffers it holds. Each
 * limit is a knob of [limits] and has its reason in close.def.
 *
 * What a connection costs for this is 18 bytes: where it is counted, and up
 * to when the messages and bytes it sent would take at the permitted rate.
 * That time runs ahead of the clock while it sends faster; ahead by more
 * than the burst, it is not read until the clock has caught up.
 */
#ifndef WORKER_ACCESS_GUARD_H
#define WORKER_ACCESS_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"

void guard_open(void);
/* Once a second, and when told that something changed. */
void guard_tick(void);

/* May one more connection be accepted now? False: try again soon. */
bool guard_may_accept(void);
void guard_accepted(void); /* one was */

/* Does a PROXY header come from there? */
bool guard_from_proxy(const uint64_t addr[2]);

/* Counts a new connection from busy->handshake.addr; REFUSE_REASONS if it is
 * welcome. proxied: the address is what a load balancer said. */
enum refuse_reason guard_enter(
    struct conn *c, bool proxied, const char **detail);
/* The identity is known by now, and is who it says. */
enum refuse_reason guard_identity(
    const char *name, size_t len, const char **detail);
/* It was refused: does its address do that often? */
void guard_refused(const struct conn *c, enum refuse_reason reason);
/* For the Retry-After of a refusal of one of the above. */
uint32_t guard_retry_s(void);
/* It is about to become DEAD. */
void guard_leave(struct conn *c);

/* An OPEN connection sent something. They may pause its reading. */
void guard_bytes(struct conn *c, size_t n);
void guard_message(struct conn *c);

/* Once a second for each OPEN connection; CLOSE_REASONS to go on, else why
 * it is to be closed. */
enum close_reason guard_check(struct conn *c);

/* The part of access/ is quiet: the connection is not slowed down. */
bool guard_is_quiet(const struct conn *c);

#endif
