/*
 * rates: how fast a connection may send.
 *
 * What a connection costs for this is 9 bytes: up to when the messages and the
 * bytes that it sent would take at the permitted rates, and for how long it
 * has been slowed down. These times run ahead of the clock while it sends
 * faster; ahead by more than the burst, it is not read until the clock has
 * caught up.
 */
#ifndef WORKER_ACCESS_RATES_H
#define WORKER_ACCESS_RATES_H

#include <stdbool.h>
#include <stddef.h>

#include "net/conn.h"

/* Takes the rates from self.conf. */
void rates_configure(void);

/* An OPEN connection sent something. They may pause its reading. */
void rates_bytes(struct conn *c, size_t n);
void rates_message(struct conn *c);

/* Once a second for each OPEN connection: lets it be read again when it may
 * be. False if it was slowed down for longer than limits.rate_patience. */
bool rates_check(struct conn *c);

#endif
