/*
 * taps: live frames of charge points, on their way to control clients.
 *
 * Workers copy the frames of matching identities to the master, which
 * streams them to the client that asked. Nothing waits for a client: frames
 * that it does not read in time are dropped, and their number is sent to it.
 */
#ifndef MASTER_CONTROL_TAPS_H
#define MASTER_CONTROL_TAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAPS_MAX 16 /* at a time, in the whole daemon */

/* False if there are TAPS_MAX already. */
bool taps_start(uint64_t client, const char *pattern);
/* The client is gone, or ends its tap. Nothing happens if it has no tap. */
void taps_end(uint64_t client);

void taps_frame(uint64_t id, const char *json, size_t len);
/* A worker begins: all taps are sent to it. */
void taps_worker_ready(unsigned slot);

#endif
