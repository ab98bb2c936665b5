/*
 * peer: the worker's end of its channel to the master (channel.h).
 *
 * Requests come in and are handed up; outcomes go out
 * and wait here if the master does not read at once; hints and copies are
 * dropped then.
 */
#ifndef WORKER_PEER_H
#define WORKER_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cref.h"

void peer_open(int fd);
void peer_ready(void);
void peer_takeover(cref former, uint32_t entry, uint64_t generation);
void peer_done(
    uint64_t request, unsigned outcome, const char *body, size_t len);
void peer_told(uint64_t request, const char *body, size_t len);
bool peer_tapped(uint64_t tap, const char *body, size_t len);
/* what: enum channel_key. */
void peer_key(unsigned what, const char *body, size_t len);
/* Tries again to send what waits. */
void peer_tick(void);
/* True while something waits. */
bool peer_waits(void);

#endif
