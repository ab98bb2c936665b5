/*
 * entries: registry entries from the segment of another program.
 *
 * At the end of an upgrade one worker reads what has changed about identities
 * that are offline. A worker does it, since the master takes no lock of the
 * registry (registry.h); some hundred lines in each turn of the loop.
 */
#ifndef WORKER_MOVE_ENTRIES_H
#define WORKER_MOVE_ENTRIES_H

/* Takes over fd, a file of lines (shm_state.h). The master is answered with
 * CHANNEL_inherited. */
void entries_read(int fd);

#endif
