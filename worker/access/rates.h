/*
 * rates: how fast a connection may send.
 *
 * A connection needs 9 bytes for this: two times, at which the messages and the
 * bytes that it has sent would end if it had sent them at the permitted rates,
 * and the seconds for which it has been slowed down. The times run ahead of the
 * clock if it sends faster than permitted. If one is ahead by more than the
 * burst, the connection is not read until the clock has caught up.
 */
#ifndef WORKER_ACCESS_RATES_H
#define WORKER_ACCESS_RATES_H

#include <stdbool.h>
#include <stddef.h>

#include "net/conn.h"

/* Takes the rates from self.conf. */
void rates_configure(void);

/* Called when an OPEN connection has sent n bytes, or messages. They may stop
   its reading. */
void rates_bytes(struct conn *c, size_t n);
void rates_message(struct conn *c);

/* Called once a second for each OPEN connection: resumes its reading when that
 * is permitted. False if it was slowed down for longer than
 * limits.rate_patience. */
bool rates_check(struct conn *c);

#endif
