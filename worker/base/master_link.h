/*
 * master_link: the worker's end of its channel to the master (channel.h).
 *
 * Datagrams of the master go to up_datagram(). While the master does not read,
 * outcomes for it wait here, and hints and copies are dropped.
 */
#ifndef WORKER_BASE_MASTER_LINK_H
#define WORKER_BASE_MASTER_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cref.h"

/* Watches the channel to the master, which is open until the process ends. */
void master_link_open(int fd);
/* While `hold` is true, the master's datagrams wait: this worker is inheriting
   a slot. */
void master_link_hold(bool hold);
/* Reports that this worker accepts connections. */
void master_link_ready(void);
/* The steps of a hand-over, see channel.def. */
void master_link_frozen(void);
void master_link_kept(bool successor_ended, const char *why);
void master_link_inherited(uint64_t taken, uint64_t failed);
void master_link_given(uint64_t given, uint64_t left);
/* Reports that the connection of a call has moved, so that the master looks it
   up again. */
void master_link_moved(uint64_t request);
/* Reports that a connection of another worker was replaced. */
void master_link_takeover(cref former, uint32_t entry, uint64_t generation);
/* Reports the outcome (enum outcome) of a command; body: its JSON. */
void master_link_done(
    uint64_t request, unsigned outcome, const char *body, size_t len);
/* The answer to CHANNEL_ask: a JSON object, empty if the connection has ended.
 * master_link_tapped(): one frame of a tap; false if it was not sent, because
 * the channel is full. */
void master_link_described(uint64_t request, const char *body, size_t len);
bool master_link_tapped(uint64_t tap, const char *body, size_t len);
/* body: the command's id, NUL, and the JSON of its outcome. */
void master_link_recovered(unsigned outcome, const char *body, size_t len);
/* what: enum channel_key. */
void master_link_key(unsigned what, const char *body, size_t len);
/* Tries again to send the datagrams that wait. */
void master_link_tick(void);
/* The same at the end of the process: waits for at most ms. */
void master_link_flush(uint64_t ms);

#endif
