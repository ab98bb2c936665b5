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

struct client;

/* False if there are TAPS_MAX already. It ends with its client. */
bool taps_start(struct client *c, const char *pattern);

void taps_frame(uint64_t id, const char *json, size_t len);
/* A worker begins: all taps are sent to it. */
void taps_worker_ready(unsigned slot);

#endif
