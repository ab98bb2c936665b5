/*
 * taps: live frames of charge points, on their way to control clients.
 *
 * Workers copy the frames of matching identities to the master, which streams
 * them to the client of the tap. Frames that a client does not read in time are
 * dropped, and their number is sent to it.
 */
#ifndef MASTER_CONTROL_TAPS_H
#define MASTER_CONTROL_TAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAPS_MAX 16 /* taps at the same time, in the whole daemon */

struct client;

/* Begins a tap of identities that match the pattern, for fnmatch(3); it ends
 * with its client. False if there are TAPS_MAX already. */
bool taps_start(struct client *c, const char *pattern);

/* Called when a worker has sent a frame of tap id: copies it to the client. */
void taps_frame(uint64_t id, const char *json, size_t len);
/* Sends all taps to a worker that has started. */
void taps_worker_ready(unsigned slot);

#endif
