/*
 * deny_list: the deny list (denyfile.h) as this worker has read it.
 *
 * The master raises a version in shared memory when the file has changed. A
 * helper thread then reads the file again. Meanwhile handshakes wait, for at
 * most a second. If the file cannot be read, the former list stays in force,
 * and the file is tried again each second.
 */
#ifndef WORKER_ACCESS_DENY_LIST_H
#define WORKER_ACCESS_DENY_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the list at once, without a helper: there is no connection yet. */
void deny_list_open(void);
/* Called once a second. */
void deny_list_tick(void);

/* True while a handshake has to wait, because the list has changed and is being
 * read; for a second at most. */
bool deny_list_waits(void);

/* True if the address, in the form of address_pack(), or the identity is on the
 * list. */
bool deny_list_has_address(const uint64_t addr[2]);
bool deny_list_has_name(const char *name, size_t len);

/* When the list came into force, on the clock of self.now_us. */
uint64_t deny_list_us(void);
/* True in the round of the sweep after a list was read, in which each
 * connection is compared with it. */
bool deny_list_is_new(void);

#endif
